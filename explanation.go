package stagedoor

// Explanation says step by step why somebody may or may not come in or
// publish, for people who help others.
type Explanation struct {
	User  string `json:"user"`
	Room  Room   `json:"room,omitempty"`
	Steps []Step `json:"steps"`
}

// Step is one fact and what follows from it.
type Step struct {
	// Name is what the step is about: issuer, identity, link, subscription, …
	Name string `json:"name"`
	// Mark says what the step does to the answer.
	Mark Mark `json:"mark"`
	// Text is one sentence for people; it holds no secret.
	Text string `json:"text"`
	// Age is how old the fact is, in whole seconds; nil where it has no age.
	Age *int64 `json:"ageSeconds,omitempty"`
}

// Mark is what a step does to the answer. The zero value reads as a remark.
type Mark string

// The marks.
const (
	Remark Mark = "note"
	Good   Mark = "yes"
	Bad    Mark = "no"
)

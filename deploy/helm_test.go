package deploy

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "helm/stagedoor"

// values are the chart's, with changes at the first level of each section.
func values(t *testing.T, changes map[string]map[string]any) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.UnmarshalStrict([]byte(read(t, chart, "values.yaml")), &v); err != nil {
		t.Fatal(err)
	}
	v["existingSecret"] = "stagedoor"
	v["image"].(map[string]any)["repository"] = "registry.example.com/stagedoor"
	v["env"].(map[string]any)["LIVEKIT_URL"] = filled["LIVEKIT_URL"]
	v["env"].(map[string]any)["TRUSTED_PROXIES"] = filled["TRUSTED_PROXIES"]
	for section, change := range changes {
		if inner, ok := v[section].(map[string]any); ok {
			maps.Copy(inner, change)
		} else {
			v[section] = change[""]
		}
	}
	return v
}

// render executes the chart's templates with the functions that Helm adds to
// Go's: Helm's own engine takes longer to compile than all else here.
func render(t *testing.T, v map[string]any, replaced ...string) (map[string]string, error) {
	t.Helper()
	var meta map[string]any
	if err := yaml.Unmarshal([]byte(read(t, chart, "Chart.yaml")), &meta); err != nil {
		t.Fatal(err)
	}
	titled := map[string]any{"Name": meta["name"], "Version": meta["version"], "AppVersion": meta["appVersion"]}
	root := template.New("").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv"} { // Helm has neither
		delete(functions, name)
	}
	functions["toYaml"] = func(value any) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	functions["include"] = func(name string, data any) (string, error) {
		var b strings.Builder
		err := root.ExecuteTemplate(&b, name, data)
		return b.String(), err
	}
	functions["fail"] = func(text string) (string, error) { return "", errors.New(text) }
	functions["required"] = func(text string, value any) (any, error) {
		if value == nil || value == "" {
			return nil, errors.New(text)
		}
		return value, nil
	}
	root.Funcs(functions)
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if _, err := root.New(filepath.Base(file)).Parse(read(t, file)); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range replaced {
		template.Must(root.New("replaced").Parse(text))
	}
	data := map[string]any{"Values": v, "Chart": titled, "Release": map[string]any{"Name": "door", "Namespace": "calls", "Service": "Helm"}}
	out := map[string]string{}
	for _, file := range files {
		var b strings.Builder
		if err := root.ExecuteTemplate(&b, filepath.Base(file), data); err != nil {
			return nil, err
		}
		if text := strings.TrimSpace(b.String()); text != "" && strings.HasSuffix(file, ".yaml") {
			out[strings.TrimSuffix(filepath.Base(file), ".yaml")] = text
		}
	}
	return out, nil
}

// decode reads a manifest into Kubernetes' own type; a key that it does not
// have is an error.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var object T
	if err := strict(text, &object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return object
}

func TestChart(t *testing.T) {
	out, err := render(t, values(t, map[string]map[string]any{
		"ingress":         {"enabled": true, "host": "door.example.com", "tlsSecret": "door-tls", "className": "nginx"},
		"policyConfigMap": {"": "rules"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(out)), []string{"ingress", "networkpolicy", "poddisruptionbudget", "service", "statefulset"}; !slices.Equal(got, want) {
		t.Fatalf("renders %v, want %v", got, want)
	}
	set := decode[apps.StatefulSet](t, out["statefulset"])
	checkPod(t, set.Spec.Template.Spec)
	labels := set.Spec.Template.Labels
	service := decode[core.Service](t, out["service"])
	budget := decode[policy.PodDisruptionBudget](t, out["poddisruptionbudget"])
	network := decode[networking.NetworkPolicy](t, out["networkpolicy"])
	ingress := decode[networking.Ingress](t, out["ingress"])
	for name, selector := range map[string]map[string]string{"set": set.Spec.Selector.MatchLabels, "service": service.Spec.Selector, "budget": budget.Spec.Selector.MatchLabels, "network": network.Spec.PodSelector.MatchLabels} {
		for key, value := range selector {
			if len(selector) != 2 || labels[key] != value {
				t.Errorf("the %s selects %v, the pods are %v", name, selector, labels)
			}
		}
	}
	if *set.Spec.Replicas != 1 || len(set.Spec.VolumeClaimTemplates) != 1 || set.Spec.ServiceName != service.Name {
		t.Error("not one door with one volume")
	}
	if budget.Spec.MaxUnavailable.IntValue() != 1 || len(network.Spec.Egress) == 0 || len(network.Spec.Ingress[0].From) == 0 {
		t.Error("the budget would block every drain, or the network is open")
	}
	if ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name != service.Name || ingress.Spec.TLS[0].SecretName != "door-tls" {
		t.Error("the ingress leads elsewhere, or without TLS")
	}
}

// checkPod holds the pod to the image, and to Kubernetes' restricted standard.
func checkPod(t *testing.T, pod core.PodSpec) {
	t.Helper()
	image, c := parseDockerfile(t), pod.Containers[0]
	if !*pod.SecurityContext.RunAsNonRoot || !strings.HasPrefix(image.user, "65532:") || *pod.SecurityContext.RunAsUser != 65532 || *pod.SecurityContext.FSGroup != 65532 || pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%+v", pod.SecurityContext)
	}
	if *c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem || !slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"ALL"}) || *pod.AutomountServiceAccountToken {
		t.Errorf("%+v", c.SecurityContext)
	}
	if *pod.TerminationGracePeriodSeconds < 15 || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.StartupProbe == nil {
		t.Error("probes or grace are not as the door needs them")
	}
	if !slices.Equal(append(slices.Clone(image.entrypoint), c.Args...), image.command()) {
		t.Errorf("runs %v", c.Args)
	}
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	if mounts["data"] != image.workdir {
		t.Errorf("the volume is at %s", mounts["data"])
	}
	secrets := t.TempDir()
	environ := map[string]string{}
	for _, e := range c.Env {
		switch {
		case e.ValueFrom != nil:
			environ[e.Name] = filled[e.Name]
		case strings.HasPrefix(e.Value, mounts["secrets"]+"/"):
			file := filepath.Join(secrets, filepath.Base(e.Value))
			if err := os.WriteFile(file, []byte(filled[strings.TrimSuffix(e.Name, "_FILE")]), 0o600); err != nil {
				t.Fatal(err)
			}
			environ[e.Name] = file
		default:
			environ[e.Name] = e.Value
		}
	}
	accept(t, environ, "STRIPE_SECRET_KEY")
}

func TestChartRefusesTwoDoorsOnOneDatabase(t *testing.T) {
	for name, change := range map[string]map[string]map[string]any{
		"replicas":    {"replicas": {"": 2}},
		"autoscaling": {"autoscaling": {"enabled": true}},
	} {
		if _, err := render(t, values(t, change)); err == nil || !strings.Contains(err.Error(), "one door per SQLite file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := render(t, values(t, map[string]map[string]any{"ingress": {"enabled": true, "host": "door.example.com"}})); err == nil {
		t.Error("an ingress without TLS passed")
	}
}

// What is refused as long as the database is a file is valid all the same.
func TestChartAutoscaler(t *testing.T) {
	out, err := render(t, values(t, map[string]map[string]any{"autoscaling": {"enabled": true}}), `{{define "stagedoor.oneDoor"}}{{""}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	scaler, set := decode[autoscaling.HorizontalPodAutoscaler](t, out["horizontalpodautoscaler"]), decode[apps.StatefulSet](t, out["statefulset"])
	if s := scaler.Spec; s.MaxReplicas < *s.MinReplicas || s.ScaleTargetRef.Kind != "StatefulSet" || s.ScaleTargetRef.Name != set.Name {
		t.Errorf("%+v", s)
	}
}

// The chart's schema knows every value, and requires what has no default.
func TestChartSchema(t *testing.T) {
	var schema struct {
		Required   []string
		Properties map[string]any
	}
	if err := yaml.Unmarshal([]byte(read(t, chart, "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	for name := range values(t, nil) {
		if schema.Properties[name] == nil {
			t.Errorf("the schema refuses %s", name)
		}
	}
	if !slices.Equal(schema.Required, []string{"image", "env", "existingSecret"}) {
		t.Errorf("requires %v", schema.Required)
	}
}

// Package deploy holds what Stagedoor is deployed with. Its tests have every
// file read by the tools that read it in earnest, or by their libraries, give
// the variables in it to the door's own configuration, and run the image's
// content as an unprivileged user on a root that cannot be written to.
package deploy

package policy

import (
	"reflect"
	"strings"

	"stagedoor"
)

// KeepClaims returns the principal with only those claims that decisions can
// read: the ones at the paths, and the ones that the rules name. A rule names a
// top-level claim and never a path, so a claim kept for its path must not pass
// for a claim of that name.
func (s *Source) KeepClaims(p stagedoor.Principal, paths []string) stagedoor.Principal {
	claims := p.Claims
	f := s.file.Load()
	if f == nil {
		p.Claims, p.ClaimNames = claims.Keep(paths), []string{}
		return p
	}
	names, all := f.Claims()
	if all {
		return p
	}
	kept := claims.Keep(paths)
	for _, name := range names {
		delete(kept, name)
		if value, ok := claims[name]; ok {
			kept[name] = value
		}
	}
	p.Claims, p.ClaimNames = restorePaths(kept, claims, paths), append([]string{}, names...)
	return p
}

// restorePaths adds the whole top-level claim for each path that no longer leads
// to its value, because a rule's claim has the path's name.
func restorePaths(kept, claims stagedoor.Claims, paths []string) stagedoor.Claims {
	for _, path := range paths {
		value, there := claims.At(path)
		if found, _ := kept.At(path); !there || path == "" || reflect.DeepEqual(found, value) {
			continue
		}
		for name, value := range claims {
			if strings.HasPrefix(path, name+".") {
				kept[name] = value
			}
		}
	}
	return kept
}

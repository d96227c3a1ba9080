package store

import "os"

// Size is what the database takes on the disk, in bytes, its log included, and
// what is free there; -1 where the system does not say.
func (s *Store) Size() (used, free int64) {
	for _, name := range []string{s.path, s.path + "-wal", s.path + "-shm"} {
		if info, err := os.Stat(name); err == nil {
			used += info.Size()
		} else if name == s.path {
			return -1, -1
		}
	}
	return used, freeAt(s.path)
}

package store

import "syscall"

// freeAt is what an ordinary user may still write to a file's disk, in bytes; -1: not known.
func freeAt(path string) int64 {
	var disk syscall.Statfs_t
	if syscall.Statfs(path, &disk) != nil {
		return -1
	}
	return int64(disk.Bavail) * int64(disk.Bsize)
}

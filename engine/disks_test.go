package engine_test

import "holdfast/internal/vfs"

// liar is a disk that only claims to sync appended data; that of whole files is true.
type liar struct{ vfs.FS }

func (l liar) Create(path string) (vfs.File, error) { return lie(l.FS.Create(path)) }

func (l liar) OpenFile(path string, access vfs.Access) (vfs.File, error) {
	return lie(l.FS.OpenFile(path, access))
}

type lyingFile struct{ vfs.File }

func lie(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lyingFile{f}, nil
}

func (lyingFile) Datasync() error { return nil }

package engine_test

import "holdfast/internal/vfs"

// planted is a file system with a bug: it hands out files that sync appended data wrongly. Whole files it syncs as it should.
type planted struct {
	vfs.FS
	wrong func(vfs.File) vfs.File
}

func (p planted) Create(path string) (vfs.File, error) { return p.file(p.FS.Create(path)) }

func (p planted) OpenFile(path string, access vfs.Access) (vfs.File, error) {
	return p.file(p.FS.OpenFile(path, access))
}

func (p planted) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return p.wrong(f), nil
}

// lyingFile skips the sync.
type lyingFile struct{ vfs.File }

func (lyingFile) Datasync() error { return nil }

// hastyFile confirms early: it syncs only when the next write comes.
type hastyFile struct {
	vfs.File
	owes bool
}

func (f *hastyFile) Datasync() error {
	f.owes = true
	return nil
}

func (f *hastyFile) WriteAt(b []byte, off int64) (int, error) {
	if f.owes {
		f.owes = false
		if err := f.File.Datasync(); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(b, off)
}

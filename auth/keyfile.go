package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// KeyFile edits a file of API keys. Several programs may do so at once: each edit is made under a lock (the file beside it with
// .lock behind its name) and is atomic; when it returns, it is on stable storage. A server that has the file open in its
// Config.Keys sees it within Config.Poll.
type KeyFile struct {
	Path string
	Now  func() time.Time // nil = time.Now
}

// ErrNoKey: the file has no key of that id.
var ErrNoKey = errors.New("there is no such API key")

// ErrNotLive: the key was revoked or has ended.
var ErrNotLive = errors.New("the API key was revoked or has ended")

// Configured says whether API keys were ever made in a file: it is there, or the lock beside it is. A server that finds so
// must not run without authentication, even where somebody deleted the file.
func Configured(path string) bool {
	for _, name := range []string{path, path + ".lock"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return true // also where it cannot be told
		}
	}
	return false
}

func (f KeyFile) now() time.Time {
	now := time.Now
	if f.Now != nil {
		now = f.Now
	}
	return now().UTC().Truncate(time.Second)
}

// List gives all keys, in the order they were made, without their hashes. A file that does not exist has none.
func (f KeyFile) List() ([]Key, error) {
	keys, err := f.load()
	for i := range keys {
		keys[i].Hash = ""
	}
	return keys, err
}

// Create adds a key of k's role, scope, note and expiry, and gives it with its token: this is the only time it can be seen.
func (f KeyFile) Create(k Key) (made Key, token string, err error) {
	err = f.edit(func(keys []Key) ([]Key, error) {
		made, token = f.forge(keys, k)
		return append(keys, made), nil
	})
	if err != nil {
		return Key{}, "", err
	}
	return made, token, nil
}

// Revoke ends a key now. A revoked one stays in the file, so that its id in audits can be looked up. Again is a no-op.
func (f KeyFile) Revoke(id string) (revoked Key, err error) {
	err = f.edit(func(keys []Key) ([]Key, error) {
		k, err := find(keys, id)
		if err != nil {
			return nil, err
		}
		if k.Revoked.IsZero() {
			k.Revoked = f.now()
		}
		revoked = *k
		return keys, nil
	})
	revoked.Hash = ""
	return revoked, err
}

// Rotate makes a key of the same role, scope and note as the one named, and ends that one after overlap: until then both are
// valid. The new one ends at expires; zero = it lives as long from now as the old one did from its making.
// Errors: ErrNoKey, ErrNotLive.
func (f KeyFile) Rotate(id string, overlap time.Duration, expires time.Time) (made Key, token string, err error) {
	if overlap < 0 {
		return Key{}, "", errors.New("overlap must not be negative")
	}
	err = f.edit(func(keys []Key) ([]Key, error) {
		now := f.now()
		old, err := find(keys, id)
		switch {
		case err != nil:
			return nil, err
		case !old.Live(now):
			return nil, fmt.Errorf("%s: %w", id, ErrNotLive)
		}
		next := *old
		next.Replaces, next.Expires = old.ID, expires
		if expires.IsZero() && !old.Expires.IsZero() {
			next.Expires = now.Add(old.Expires.Sub(old.Created))
		}
		if end := now.Add(overlap); old.Expires.IsZero() || end.Before(old.Expires) {
			old.Expires = end
		}
		made, token = f.forge(keys, next)
		return append(keys, made), nil
	})
	if err != nil {
		return Key{}, "", err
	}
	return made, token, nil
}

func find(keys []Key, id string) (*Key, error) {
	for i := range keys {
		if keys[i].ID == id {
			return &keys[i], nil
		}
	}
	return nil, fmt.Errorf("%.20q: %w", id, ErrNoKey)
}

// forge gives k an id of its own, a secret and a time of birth.
func (f KeyFile) forge(keys []Key, k Key) (made Key, token string) {
	made = k
	for taken := true; taken; {
		made.ID = random(idLen, base32)
		_, err := find(keys, made.ID)
		taken = err == nil
	}
	token = keyPrefix + made.ID + "_" + random(secretLen, base62)
	hash := sha256.Sum256([]byte(token))
	made.Hash, made.Created, made.Revoked = hex.EncodeToString(hash[:]), f.now(), time.Time{}
	return made, token
}

func (f KeyFile) load() ([]Key, error) {
	b, _, err := readTrusted(f.Path, maxKeysBytes, writable)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := decodeKeys(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return keys, nil
}

// edit changes the file under its lock. It is durable and atomic: after an error that comes before the renaming nothing changed.
func (f KeyFile) edit(change func([]Key) ([]Key, error)) (err error) {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	keys, err := f.load()
	if err != nil {
		return err
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	b, err := encodeKeys(keys)
	if err != nil {
		return err
	}
	if _, err := decodeKeys(b); err != nil { // what a server would refuse is not written
		return err
	}
	return f.replace(b)
}

// lock waits for the lock of the file. It is never removed: who waits for a file that another has unlinked would hold nothing.
func (f KeyFile) lock() (unlock func() error, err error) {
	l, err := os.OpenFile(f.Path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.own(l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for {
		switch err := unix.Flock(int(l.Fd()), unix.LOCK_EX); {
		case err == nil:
			return l.Close, nil
		case !errors.Is(err, unix.EINTR):
			return nil, errors.Join(&fs.PathError{Op: "flock", Path: f.Path + ".lock", Err: err}, l.Close())
		}
	}
}

// groupRead is the one permission of others that a file of keys may keep.
const groupRead fs.FileMode = 0o040

func (f KeyFile) replace(b []byte) error {
	if at, err := filepath.EvalSymlinks(f.Path); err == nil {
		f.Path = at // the file changes, not the link to it
	}
	dir := filepath.Dir(f.Path)
	temp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(b)
	if err == nil {
		err = f.own(temp)
	}
	if st, e := os.Stat(f.Path); err == nil && e == nil && st.Mode()&groupRead != 0 {
		err = temp.Chmod(0o600 | groupRead) // a server that reads it by its group must see who is revoked
	}
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.Path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// own gives a new file to whom the keys belong, or else the directory, so that a server can still read what root edited.
func (f KeyFile) own(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if unix.Stat(f.Path, &st) != nil {
		if err := unix.Stat(filepath.Dir(f.Path), &st); err != nil {
			return err
		}
	}
	return file.Chown(int(st.Uid), int(st.Gid))
}

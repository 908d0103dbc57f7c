package mirror

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed schema
var schemaFiles embed.FS

// migration is one numbered file of SQL. What was released is never changed: a database keeps its checksum. Each can be run
// again where it was run before: a rebuild does that.
type migration struct {
	version  int
	name     string
	sql      string
	checksum string
}

// migrations lists those of a dialect, from version 1 on without a gap.
func migrations(dialect string) ([]migration, error) {
	dir := path.Join("schema", dialect)
	entries, err := fs.ReadDir(schemaFiles, dir)
	if err != nil {
		return nil, err
	}
	var list []migration
	for _, e := range entries {
		text, err := fs.ReadFile(schemaFiles, path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(e.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(list)+1 {
			return nil, fmt.Errorf("schema file %s is out of order", e.Name())
		}
		sum := sha256.Sum256(text)
		list = append(list, migration{version, e.Name(), string(text), hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// pending says what a database with these versions and checksums still needs.
func pending(all []migration, applied map[int]string) ([]migration, error) {
	for version, checksum := range applied {
		if version > len(all) {
			return nil, violated("the database has schema version %d, and this program knows versions up to %d: "+
				"run the newer Holdfast that made it", maxVersion(applied), len(all))
		}
		if checksum != all[version-1].checksum {
			return nil, violated("schema version %d of the database was made by another %s than this program's",
				version, all[version-1].name)
		}
	}
	if maxVersion(applied) != len(applied) {
		return nil, violated("table schema_version: a version below %d is missing", maxVersion(applied))
	}
	return all[len(applied):], nil
}

func maxVersion(applied map[int]string) (most int) {
	for version := range applied {
		most = max(most, version)
	}
	return most
}

package rush

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"holdfast/seat"
)

// readCatalogue reads a real catalogue: its courses with capacities scaled by cfg.Squeeze, and each student's wishes.
func (p *plan) readCatalogue(cfg *Config, people map[string]int32) error {
	courses := map[string]int32{}
	err := readCSV(cfg.Courses, []string{"course", "capacity"}, func(at string, row []string) error {
		name := row[0]
		if err := seat.ValidID("course", name); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		if _, twice := courses[name]; twice || name == openingCourse {
			return fmt.Errorf("%s: course %s is there twice", at, name)
		}
		capacity, err := strconv.Atoi(row[1])
		if err != nil || capacity < 0 || capacity > seat.MaxCapacity {
			return fmt.Errorf("%s: capacity %q is not a number from 0 to %d", at, row[1], seat.MaxCapacity)
		}
		courses[name] = int32(len(p.courses))
		p.courses = append(p.courses, course{name, squeeze(capacity, cfg.Squeeze)})
		return nil
	})
	if err != nil {
		return err
	}
	type wish struct{ course, rank int32 }
	var wishes [][]wish
	err = readCSV(cfg.Wishes, []string{"student", "course", "rank"}, func(at string, row []string) error {
		if err := seat.ValidID("student", row[0]); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		c, ok := courses[row[1]]
		if !ok {
			return fmt.Errorf("%s: course %q is not in %s", at, row[1], cfg.Courses)
		}
		rank, err := strconv.ParseInt(row[2], 10, 32)
		if err != nil {
			return fmt.Errorf("%s: rank %q is not a number", at, row[2])
		}
		student := p.person(people, row[0])
		if int(student) == len(wishes) {
			wishes = append(wishes, nil)
		}
		for _, w := range wishes[student] {
			if w.course == c {
				return fmt.Errorf("%s: %s wishes for %s twice", at, row[0], row[1])
			}
		}
		if len(wishes[student]) == seat.MaxBasket {
			return fmt.Errorf("%s: %s has more than %d wishes, a basket holds no more", at, row[0], seat.MaxBasket)
		}
		wishes[student] = append(wishes[student], wish{c, int32(rank)})
		return nil
	})
	if err != nil {
		return err
	}
	for _, ws := range wishes {
		slices.SortStableFunc(ws, func(a, b wish) int { return int(a.rank) - int(b.rank) })
		basket := make([]int32, len(ws))
		for i, w := range ws {
			basket[i] = w.course
		}
		p.wishes = append(p.wishes, basket)
	}
	return nil
}

// squeeze scales a capacity; a course that had a seat keeps one.
func squeeze(capacity int, by float64) int {
	if capacity == 0 {
		return 0
	}
	return min(max(1, int(math.Round(float64(capacity)*by))), seat.MaxCapacity)
}

// readCSV calls each with the named columns of every row, wherever they stand, and with "file:line" for its errors.
func readCSV(file string, columns []string, each func(at string, row []string) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:1: the file is empty; its first line must name the columns %s", file, strings.Join(columns, ", "))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	where := make([]int, len(columns))
	for i, name := range columns {
		where[i] = slices.IndexFunc(head, func(h string) bool {
			return strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")) == name
		})
		if where[i] < 0 {
			return fmt.Errorf("%s:1: there is no column %q; the columns are %s", file, name, strings.Join(head, ", "))
		}
	}
	row := make([]string, len(columns))
	rows := 0
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err) // a csv.ParseError names the line
		}
		rows++
		line, _ := r.FieldPos(0)
		for i, w := range where {
			row[i] = strings.TrimSpace(record[w])
		}
		if err := each(fmt.Sprintf("%s:%d", file, line), row); err != nil {
			return err
		}
	}
	if rows == 0 {
		return fmt.Errorf("%s:2: there is no row", file)
	}
	return nil
}

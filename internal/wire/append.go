package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// ProblemType and the code of a problem make its type: a name, not an address. docs/API.md explains the codes.
const ProblemType = "urn:holdfast:problem:"

// Stamp is how far an answer has got, and when it was decided.
type Stamp struct {
	Durability Durability
	AsOf       uint64
	At         seat.Time
}

// Append appends the members that every answer ends with.
func (s *Stamp) Append(b []byte) []byte {
	b = append(b, `,"durability":"`...)
	b = append(b, s.Durability...)
	b = append(b, `","as_of":`...)
	b = strconv.AppendUint(b, s.AsOf, 10)
	return AppendTime(b, `,"at":"`, s.At)
}

// AppendAnswer appends the answer of one person and pool as a JSON object. Its time is the standing's own.
func AppendAnswer(b []byte, realm, person string, st *seat.Standing, s Stamp) []byte {
	b = append(b, `{"realm":"`...) // ids need no escaping: their bytes are checked
	b = append(b, realm...)
	b = append(b, `","pool":"`...)
	b = append(b, st.Pool...)
	b = append(b, `","person":"`...)
	b = append(b, person...)
	b = append(b, '"')
	confirmed := s.Durability != Preapproved
	b = appendStanding(b, st, confirmed)
	if confirmed {
		b = appendSeq(b, st)
	}
	if st.Status != seat.None {
		s.At = st.At
	}
	return append(s.Append(b), '}')
}

// AppendRow appends a standing as one row of a list: the person (if any), the pool, the standing, its seq once it is
// confirmed, and its time.
func AppendRow(b []byte, person string, st *seat.Standing, confirmed bool) []byte {
	b = append(b, `{"pool":"`...)
	b = append(b, st.Pool...)
	if person != "" {
		b = append(b, `","person":"`...)
		b = append(b, person...)
	}
	b = append(b, '"')
	b = appendStanding(b, st, confirmed)
	if confirmed {
		b = appendSeq(b, st)
	}
	return append(AppendTime(b, `,"at":"`, st.At), '}')
}

func appendSeq(b []byte, st *seat.Standing) []byte {
	if st.Seq == 0 {
		return b
	}
	b = append(b, `,"seq":`...)
	return strconv.AppendUint(b, st.Seq, 10)
}

func appendStanding(b []byte, st *seat.Standing, confirmed bool) []byte {
	b = append(b, `,"status":"`...)
	b = append(b, st.Status.String()...)
	b = append(b, '"')
	if st.Seat != 0 {
		b = appendNumber(b, `,"seat":`, uint64(st.Seat))
	}
	if st.Position != 0 {
		b = appendNumber(b, `,"position":`, uint64(st.Position))
	}
	if st.Ticket != 0 {
		b = appendNumber(b, `,"ticket":`, uint64(st.Ticket))
	}
	if st.Status == seat.Offered {
		if confirmed {
			b = appendNumber(b, `,"offer":`, st.Seq)
		}
		b = AppendTime(b, `,"deadline":"`, st.Deadline)
	}
	if st.Swap != "" {
		b = appendPlain(b, `,"swap":"`, st.Swap)
	}
	if st.Blocked != "" {
		b = appendPlain(b, `,"blocked":"`, string(st.Blocked))
	}
	return b
}

func appendNumber(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}

// appendPlain appends a string that needs no escaping, after a name that ends in the opening quote.
func appendPlain(b []byte, name, s string) []byte {
	b = append(b, name...)
	b = append(b, s...)
	return append(b, '"')
}

// AppendString appends s as a JSON string, escaped as needed.
func AppendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always marshals; what is not UTF-8 is replaced
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// AppendTime appends t in RFC 3339 with microseconds and a closing quote, after a name that ends in the opening one. It is
// seat.Time's own text, at a fifth of the price of time.AppendFormat.
func AppendTime(b []byte, name string, t seat.Time) []byte {
	b = append(b, name...)
	std := t.Std()
	year, month, day := std.Date()
	if year < 0 || year > 9999 {
		b, _ = t.AppendText(b)
		return append(b, '"')
	}
	hour, minute, second := std.Clock()
	b = appendDigits(b, year, 1000)
	b = appendDigits(append(b, '-'), int(month), 10)
	b = appendDigits(append(b, '-'), day, 10)
	b = appendDigits(append(b, 'T'), hour, 10)
	b = appendDigits(append(b, ':'), minute, 10)
	b = appendDigits(append(b, ':'), second, 10)
	b = appendDigits(append(b, '.'), std.Nanosecond()/int(time.Microsecond), 100_000)
	return append(b, 'Z', '"')
}

func appendDigits(b []byte, n, unit int) []byte {
	for ; unit > 0; unit /= 10 {
		b = append(b, byte('0'+n/unit%10))
	}
	return b
}

// AppendBasket appends the answer of a basket that was not refused as a whole.
func AppendBasket(b []byte, realm string, c *seat.Basket, items []seat.Result, s Stamp) []byte {
	b = appendPlain(b, `{"realm":"`, realm)
	b = appendPlain(b, `,"person":"`, c.Person)
	b = appendPlain(b, `,"mode":"`, ModeName(c.Mode))
	b = appendItems(b, c, items, s)
	return append(s.Append(b), '}')
}

func appendItems(b []byte, c *seat.Basket, items []seat.Result, s Stamp) []byte {
	b = append(b, `,"items":[`...)
	confirmed := s.Durability != Preapproved
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPlain(b, `{"pool":"`, c.Items[i].Pool)
		if it := &items[i]; it.Refused() {
			b = append(b, `,"refused":{"code":"`...)
			b = append(b, it.Refusal.Code...)
			b = append(b, '"')
			p := Refused(&it.Refusal, c.Items[i].Pool)
			b = append(p.appendFacts(b, confirmed), '}')
		} else {
			b = appendStanding(b, &it.Standing, confirmed)
			if confirmed {
				b = appendSeq(b, &it.Standing)
			}
			if it.Status != seat.None {
				b = AppendTime(b, `,"at":"`, it.At)
			}
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// Refused makes the Problem of a refusal about a pool, with the fact that explains it.
func Refused(r *seat.Refusal, pool string) Problem {
	m := Mean(r.Code)
	p := Problem{Code: r.Code, Status: m.Status, Title: m.Title, Detail: m.Detail, Pool: pool, Limit: r.Limit, Seq: r.Seq}
	switch r.Code {
	case seat.NotOpen:
		p.OpensAt = r.Time
	case seat.Closed:
		p.ClosedAt = r.Time
	}
	if r.Pool != pool {
		p.HeldPool = r.Pool
	}
	return p
}

// Append appends p as a JSON object. What it says of a standing's seq is left out while it is preapproved.
func (p *Problem) Append(b []byte) []byte { return p.appendWith(b, nil, nil) }

// AppendRefusedBasket appends p, with the items that say why.
func (p *Problem) AppendRefusedBasket(b []byte, c *seat.Basket, items []seat.Result) []byte {
	return p.appendWith(b, c, items)
}

func (p *Problem) appendWith(b []byte, c *seat.Basket, items []seat.Result) []byte {
	b = append(b, `{"type":"`+ProblemType...)
	b = append(b, p.Code...)
	b = appendPlain(b, `","title":"`, p.Title)
	b = appendNumber(b, `,"status":`, uint64(p.Status))
	b = append(b, `,"detail":`...)
	b = AppendString(b, p.Detail)
	b = appendPlain(b, `,"code":"`, string(p.Code))
	if p.Field != "" {
		b = append(b, `,"field":`...)
		b = AppendString(b, p.Field)
	}
	for _, m := range [...]struct{ name, id string }{{`,"realm":`, p.Realm}, {`,"pool":`, p.Pool}, {`,"person":`, p.Person}, {`,"desk":`, p.Desk}} {
		if m.id != "" {
			b = AppendString(append(b, m.name...), m.id)
		}
	}
	b = p.appendFacts(b, p.Durability != Preapproved)
	if p.RetryAfterMS != 0 {
		b = appendNumber(b, `,"retry_after_ms":`, uint64(p.RetryAfterMS))
	}
	s := Stamp{p.Durability, p.AsOf, p.At}
	if items != nil {
		b = appendItems(b, c, items, s)
	}
	if p.Durability != "" {
		b = s.Append(b)
	}
	return append(b, '}')
}

// appendFacts appends what explains the refusal.
func (p *Problem) appendFacts(b []byte, confirmed bool) []byte {
	if p.OpensAt != 0 {
		b = AppendTime(b, `,"opens_at":"`, p.OpensAt)
	}
	if p.ClosedAt != 0 {
		b = AppendTime(b, `,"closed_at":"`, p.ClosedAt)
	}
	if p.HeldPool != "" {
		b = appendPlain(b, `,"held_pool":"`, p.HeldPool)
	}
	if p.Code == seat.LimitSeats || p.Code == desk.QueueFull {
		b = appendNumber(b, `,"limit":`, uint64(p.Limit))
	}
	if p.Code == seat.Mismatch && confirmed {
		b = appendNumber(b, `,"seq":`, p.Seq)
	}
	if p.Version != 0 && confirmed {
		b = appendNumber(b, `,"version":`, p.Version)
	}
	for _, m := range [...]struct{ name, value string }{{`,"topic":"`, p.Topic}, {`,"offer":"`, p.Offer}, {`,"cause":"`, p.Cause}, {`,"agent_state":"`, p.AgentState}} {
		if m.value != "" {
			b = appendPlain(b, m.name, m.value)
		}
	}
	if p.Code == Trimmed {
		b = appendNumber(b, `,"first":`, p.First)
	}
	if p.Code == OtherLog {
		b = appendNumber(b, `,"last":`, p.Last)
	}
	return b
}

// Malformation is the Problem of a field that is wrong.
func Malformation(field, problem string) Problem {
	p := New(Malformed, problem)
	p.Field = field
	return p
}

// New is a Problem with no facts.
func New(code holdfast.Code, detail string) Problem {
	m := Mean(code)
	return Problem{Code: code, Status: m.Status, Title: m.Title, Detail: detail}
}

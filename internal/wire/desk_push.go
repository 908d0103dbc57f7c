package wire

import "holdfast/desk"

// AppendOfferClosed appends the push that an offer is not pending any more, to a device whose own answer does not say so.
func AppendOfferClosed(b []byte, v *desk.OfferView, asOf uint64) []byte {
	b = appendNumber(b, `{"push":"offer_closed","offer":`, v.ID)
	b = appendPlain(b, `,"desk":"`, v.Desk)
	b = appendPlain(b, `,"state":"`, v.State.String())
	b = appendWhy(b, v.Cause, v.Reason)
	if v.State == desk.Accepted {
		b = append(b, `,"accepted_elsewhere":true`...)
	}
	return append(appendNumber(b, `,"as_of":`, asOf), '}')
}

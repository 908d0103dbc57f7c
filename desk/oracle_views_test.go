package desk_test

import "holdfast/desk"

// The oracle's desks as the views of package desk have them.

func (a *oAgent) view() desk.AgentView {
	v := a.AgentView
	v.Ready, v.Away = a.ready(), a.away()
	if v.State != desk.Idle {
		v.IdleSince = 0
	}
	if a.offer != nil {
		offer := a.offer.OfferView
		v.Offer = &offer
	}
	if a.session != nil {
		session := a.session.SessionView
		v.Session = &session
	}
	return v
}

func (d *oDesk) requestView(r *oRequest) desk.RequestView {
	v := r.RequestView
	v.Away = r.State.Live() && r.away()
	if r.State == desk.Queued {
		for i, is := range d.line() {
			if is == r {
				v.Position = uint32(i) + 1
			}
		}
	}
	if !r.State.Waits() {
		v.Expires, v.Until = 0, 0
	}
	if r.session != nil {
		v.Until = r.session.JoinBy
	}
	return v
}

func (d *oDesk) view() desk.DeskView {
	v := desk.DeskView{Name: d.name, Config: d.cfg, Agents: uint32(len(d.agents)), Ready: uint32(len(d.ring(""))), Seq: d.seq, At: d.at}
	for _, a := range d.agents {
		v.States[a.State]++
	}
	for _, r := range d.requests {
		switch r.State {
		case desk.Queued:
			v.Waiting++
			if v.Oldest == 0 || r.Made < v.Oldest {
				v.Oldest = r.Made
			}
		case desk.Offering:
			v.Offering++
		case desk.Assigned:
			v.Sessions++
		}
	}
	return v
}

func (o *oracle) availability(d *oDesk, topic string) desk.Availability {
	v := desk.Availability{Desk: d.name, Topic: topic, Open: o.takes(d, topic).Code == ""}
	for _, a := range d.ring("") {
		if a.serves(topic) {
			v.Idle++
		}
	}
	for _, r := range d.line() {
		if r.Topic == topic {
			v.Waiting++
		}
	}
	return v
}

package server

import (
	"net/http"

	"holdfast/auth"
	"holdfast/internal/wire"
)

const (
	deskPath    = realmPath + "/desks/{desk}"
	agentPath   = deskPath + "/agents/{agent}"
	requestPath = deskPath + "/requests/{request}"
	offerPath   = deskPath + "/offers/{offer}"
	sessionPath = deskPath + "/sessions/{session}"
)

// Who may beside the role, for themselves.
var (
	theAgent  = []auth.Role{auth.Agent}
	theClient = []auth.Role{auth.Client}
	eachParty = []auth.Role{auth.Agent, auth.Client}
)

// deskRoutes are those of docs/DESKS.md. Only who asks for something new, or looks on, is a newcomer: an offer is answered and a
// session finished however much there is to do.
func deskRoutes() []route {
	list := append(append(staffRoutes(), agentRoutes()...), requestRoutes()...)
	for i := range list {
		list[i].desks = true
	}
	return list
}

func staffRoutes() []route {
	return []route{
		{method: "PUT", path: deskPath, role: auth.Admin, class: placed, handle: putDesk,
			op: operation{"putDesk", "Make a desk, or replace the whole of its configuration", waits, nil, "DeskConfig", decided("Desk")}},
		{method: "GET", path: deskPath, role: auth.Staff, handle: getDesk,
			op: operation{"getDesk", "A desk as it stands: its configuration and counts", waits, nil, "", read("Desk")}},
		{method: "GET", path: realmPath + "/desks", role: auth.Backend, handle: listDesks,
			op: operation{"listDesks", "The desks of a realm, in the order they were made", paged(), nil, "", read("DeskList")}},
		{method: "GET", path: deskPath + "/availability", role: auth.Person, also: eachParty, handle: getAvailability,
			op: operation{"availability", "Whether a request now would not be refused, and how many agents are ready", append([]string{"topic"}, waits...), nil, "", read("Availability")}},
		{method: "PUT", path: agentPath, role: auth.Staff, class: placed, handle: putAgent,
			op: operation{"putAgent", "Make an agent, or replace their topics and reach", waits, nil, "AgentProfile", decided("Agent")}},
		{method: "DELETE", path: agentPath, role: auth.Staff, class: placed, handle: deleteAgent,
			op: operation{"removeAgent", "Take an agent away, whatever they do; who is not there is removed already", waits, nil, "Staff", decided("Removed")}},
		{method: "GET", path: deskPath + "/agents", role: auth.Staff, handle: listAgents,
			op: operation{"listAgents", "The agents of a desk, in the order they were made; the ready ones in the order of the ring", paged("ready", "topic"), nil, "", read("AgentList")}},
		{method: "GET", path: deskPath + "/requests", role: auth.Staff, handle: listRequests,
			op: operation{"listRequests", "The requests of a desk, the oldest first", paged("state"), nil, "", read("RequestList")}},
		{method: "GET", path: deskPath + "/sessions", role: auth.Staff, handle: listSessions,
			op: operation{"listSessions", "The sessions of a desk, in the order of their requests", paged("live"), nil, "", read("SessionList")}},
	}
}

func agentRoutes() []route {
	return []route{
		{method: "GET", path: agentPath, role: auth.Staff, also: theAgent, class: placed, handle: getAgent,
			op: operation{"getAgent", "An agent as they stand, with a pending offer and a live session", waits, nil, "", read("Agent")}},
		{method: "POST", path: agentPath + "/state", role: auth.Staff, also: theAgent, class: placed, handle: postState,
			op: operation{"setState", "Go online, pause, go offline; staff: force a state, with a reason that is recorded", waits, nil, "AgentState", decided("Agent")}},
		{method: "GET", path: offerPath, role: auth.Staff, also: theAgent, class: placed, handle: getOffer,
			op: operation{"getOffer", "An offer as it stands, with the time that is left", waits, nil, "", read("Offer")}},
		{method: "POST", path: offerPath + "/receipt", role: auth.Staff, also: theAgent, class: placed, handle: receiveOffer,
			op: operation{"receiveOffer", "Say that a device has the offer; twice is once", waits, nil, "OfferAct", decided("Offer")}},
		{method: "POST", path: offerPath + "/accept", role: auth.Staff, also: theAgent, class: placed, handle: acceptOffer,
			op: operation{"acceptOffer", "Take an offer: a session begins; twice gives the same session", waits, nil, "OfferAct", decided("Session")}},
		{method: "POST", path: offerPath + "/reject", role: auth.Staff, also: theAgent, class: placed, handle: rejectOffer,
			op: operation{"rejectOffer", "Decline an offer: the next agent is asked; twice is once", waits, nil, "OfferReject", decided("Offer")}},
	}
}

func requestRoutes() []route {
	return []route{
		{method: "POST", path: deskPath + "/requests", role: auth.Backend, also: theClient, handle: postRequest,
			op: operation{"request", "Ask for an agent; the same key, or a second request while one lives, shows the one that is there", waits, nil, "Ask", decided("Request")}},
		{method: "GET", path: requestPath, role: auth.Staff, also: theClient, class: placed, handle: getRequest,
			op: operation{"getRequest", "A request as it stands", waits, nil, "", read("Request")}},
		{method: "DELETE", path: requestPath, role: auth.Staff, also: theClient, class: placed, handle: deleteRequest,
			op: operation{"cancel", "End a request that waits, or its session; one that has ended is shown as it is", waits, nil, "Cancel", decided("Request")}},
		{method: "GET", path: sessionPath, role: auth.Staff, also: eachParty, class: placed, handle: getSession,
			op: operation{"getSession", "A session as it stands", waits, nil, "", read("Session")}},
		{method: "POST", path: sessionPath + "/finish", role: auth.Staff, also: eachParty, class: placed, handle: finishSession,
			op: operation{"finish", "End a session; twice is once", waits, nil, "Finish", decided("Session", answer{http.StatusNotFound, wire.ProblemJSON, "Problem"})}},
	}
}

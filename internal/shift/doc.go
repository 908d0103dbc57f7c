// Package shift is the main job of the desks played for real: agents of many companies sit on WebSockets of their own, clients
// come as they come to a call centre, the server is killed in the middle, and then every message that anybody saw is compared
// with the log.
//
// Run starts a server as a child process (or takes a running one), puts the agents to their desks, lets the clients arrive,
// gathers all that was said, and hands it with the log's events to the checkers of package sim. This package decides nothing
// about what is right: it asks, answers as people do, keeps what it hears, compares and displays. The log is authoritative;
// a message that the log contradicts is a violation.
//
// When clients arrive and how long they talk follows L. Brown, N. Gans, A. Mandelbaum, A. Sakov, H. Shen, S. Zeltyn and
// L. Zhao, "Statistical Analysis of a Telephone Call Center: A Queueing-Science Perspective", JASA 100 (469), 2005, 36-50:
// arrivals are a Poisson process whose rate varies over the day, service times are lognormal.
package shift

// Package rush is the main job played for real: a crowd presses for seats, over HTTP or each on a WebSocket of their own, and
// then every answer and every push that any student saw is compared with the log and with the database.
//
// Run starts a server as a child process (or takes a running one), plays two acts against it, gathers what the
// students were told, and hands it with the log's events to the checkers of package sim. This package decides nothing
// about what is right: it asks, keeps the answers, compares and displays. The log is authoritative; an answer that
// the log contradicts is a violation, and so is a database row that the log does not explain.
//
// When the server dies or stops (with Config.Kill and Config.Restart it is made to), the students whose connection broke ask
// again, as people do; those on WebSockets come back with their cursor.
package rush

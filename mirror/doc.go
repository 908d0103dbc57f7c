// Package mirror keeps the customer's SQL database (SQLite or Postgres) as a copy of the log, written behind it.
//
// What is authoritative is the log; the tables are a fold of it up to the cursor in the table progress. One transaction
// moves the cursor from exactly the value it read, inserts the events behind it and brings the current state up to date:
// so every event is in the tables exactly once, whatever dies when. After any failure the mirror does what it does at its
// start: it connects, reads the cursor, and reads the log from there.
//
// A database that is down, slow or full costs the engine nothing: the mirror reads the log, not memory, so an hour
// without the database costs disk. A database whose rows contradict the log halts the mirror, for good and by name of the
// row, and nothing else: see ErrHalted.
package mirror

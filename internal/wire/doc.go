// Package wire holds the messages that server and clients share: their JSON forms, the strict decoder of what callers
// send, and the one table of codes and HTTP statuses.
//
// What callers send is read strictly: one JSON object, no unknown fields, no duplicate keys at any depth, nothing behind
// it, and an error that names the field. What the server answers is appended by hand, without reflection; a client reads
// it leniently, because a later server may add members.
package wire

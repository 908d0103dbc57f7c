// Package play is what the main jobs share, package rush of the seats and package shift of the desks: a server as a child
// process that can be killed, the way to it and back to it, the cheap side of HTTP, and the words for people.
//
// It knows nothing of seats or desks, and decides nothing.
package play

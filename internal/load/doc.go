// Package load brings courses, and who is already booked, from CSV files into a realm of a running server.
//
// Both files are read and checked whole before the server is asked anything: a Problem names file and line, and nothing
// has changed. What is sent is idempotent (a pool that is as it should be makes no event, a person who is seated stays
// seated), so after any failure the same load is simply run again.
package load

// Package door decides who is let in when more ask than can be served: Buckets by how often one of them asks, Load by how long
// work has to wait. It turns away newcomers only; what was given a place in line is never its business.
//
// Nothing here is kept: after a start every bucket is full and everybody is let in.
package door

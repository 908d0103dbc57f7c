//go:build !linux

package main

// inMemory is known on Linux only.
func inMemory(string) bool { return false }

// freeBytes is known on Linux only.
func freeBytes(string) float64 { return -1 }

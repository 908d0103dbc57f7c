// Package client asks a Holdfast server: claims that are safe to repeat, and connections that resume.
package client

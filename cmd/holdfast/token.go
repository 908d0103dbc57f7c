package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// tokenVariable names the environment variable that has the token of commands that ask a server. Other users of the machine
// see a command line, and not this.
const tokenVariable = "HOLDFAST_TOKEN"

// tokenFlag is how such a command is given its API key or token.
func tokenFlag(f *pflag.FlagSet, token *string) {
	f.StringVar(token, "token", "", "API key or `TOKEN` of role admin (default "+tokenVariable+" of the environment)")
}

// takeToken completes what the flag said: empty = none is sent. No error repeats it.
func takeToken(token *string) error {
	from := "--token"
	if *token == "" {
		*token, from = os.Getenv(tokenVariable), tokenVariable
	}
	*token = strings.TrimSpace(*token)
	if strings.ContainsFunc(*token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &usageError{errors.New(from + " is no token: it has spaces or characters that no token has")}
	}
	return nil
}

// adviseKey says how to come with a key that may; scope narrows it, such as " --realm spring".
func adviseKey(err error, scope string) error {
	return advise(err, "export %s=$(holdfast key create --role admin%s --data DIR), where DIR is the server's, then run the same command again",
		tokenVariable, scope)
}

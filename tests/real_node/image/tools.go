package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// tool is what a person runs in the container: head, and say, which prints two texts and ends with a code.
// It returns false where the name is none.
func tool(name string, words []string) bool {
	switch {
	case strings.HasSuffix(name, "/head") || name == "head":
		head(words)
	case name == "say" && len(words) == 3:
		fmt.Fprintln(os.Stdout, words[0])
		fmt.Fprintln(os.Stderr, words[1])
		os.Exit(whole(words[2]))
	case name == "sleep" && len(words) == 1:
		time.Sleep(time.Duration(whole(words[0])) * time.Second)
	default:
		return false
	}
	return true
}

// head prints the first bytes of a file: head -c BYTES -- PATH.
func head(words []string) {
	if len(words) != 4 || words[0] != "-c" || words[2] != "--" {
		fmt.Fprintln(os.Stderr, "head: expected -c BYTES -- PATH")
		os.Exit(2)
	}
	file, err := os.Open(words[3])
	if err == nil {
		_, err = io.Copy(os.Stdout, io.LimitReader(file, int64(whole(words[1]))))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "head:", err)
		os.Exit(1)
	}
}

func whole(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return number
}

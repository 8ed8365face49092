package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// behaviour is an image of a scenario file, in that file's own words; BEHAVIOUR in the environment holds it as JSON.
// It says what the program needs and does, never what would repair it. Sizes are bytes, times are seconds.
type behaviour struct {
	Image  string `json:"image"`
	Memory struct {
		Start     int64   `json:"start"`
		Peak      int64   `json:"peak"`
		PeakAfter seconds `json:"peak_after"`
	} `json:"memory"`
	Port         int        `json:"port"`
	ListensAfter seconds    `json:"listens_after"`
	StopsAfter   seconds    `json:"stops_after"`
	Variables    []variable `json:"variables"`
	Replies      []reply    `json:"replies"`
	Logs         []line     `json:"logs"`
	Exit         *exit      `json:"exit"`
	// What only a real node can show (programs.py).
	Calls    []call  `json:"calls"`
	Password string  `json:"password"`
	Fills    *fill   `json:"fills"`
	Burns    float64 `json:"burns"`
}

// variable is one that the process needs: without it, or with a value that does not match, it exits.
type variable struct {
	Name    string `json:"name"`
	Pattern string `json:"pattern"`
	Missing string `json:"missing"`
	Invalid string `json:"invalid"`
	Code    int    `json:"code"`
}

// reply is an HTTP answer; the first that fits is given.
type reply struct {
	Path   string `json:"path"`
	Status int    `json:"status"`
	Body   string `json:"body"`
	// ReadyBelow: only while fewer pods of this image are ready. One process cannot know that; here it is "while the
	// limit of this one leaves no room for its memory", so that the kernel ends it, and all others, before they serve.
	ReadyBelow int `json:"ready_below"`
	// Calls: only while another Service fails. The real node has no kube-proxy: such an answer is never given.
	Calls string `json:"calls"`
}

// line is logged `after` the start, and again and again if `every` is set.
type line struct {
	Text  string  `json:"text"`
	After seconds `json:"after"`
	Every seconds `json:"every"`
}

// exit is how the process ends by itself.
type exit struct {
	After seconds `json:"after"`
	Code  int     `json:"code"`
}

// call is another server that the process asks, again and again.
type call struct {
	// URL may be written as $NAME: the value of a variable.
	URL string `json:"url"`
	// Password is the variable whose value is sent as the password.
	Password string `json:"password"`
	// Account: it is the cluster's API, asked with the token of the pod's own account.
	Account bool    `json:"account"`
	Every   seconds `json:"every"`
	// Path answers 503 while the last call failed. Ends: the process is done with the first good answer. Fatal: it ends
	// with code 1 at the first failure.
	Path  string `json:"path"`
	Ends  bool   `json:"ends"`
	Fatal bool   `json:"fatal"`
}

// fill is what the process writes as it starts; where it cannot, it says why and ends with code 1.
type fill struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

type seconds float64

func (s seconds) duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// parse reads a behaviour; an empty text is a program that needs nothing and does nothing.
func parse(text string) (behaviour, error) {
	var read behaviour
	if text == "" {
		return read, nil
	}
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		return read, fmt.Errorf("expected BEHAVIOUR to be an image of a scenario file as JSON: %w", err)
	}
	return read, nil
}

// decoded is whether a text was JSON of this shape.
func decoded(text []byte, into any) bool { return json.Unmarshal(text, into) == nil }

// unmet is the first variable whose need is not met: what is said then, and the exit code.
func (b behaviour) unmet(lookup func(string) string) (said string, code int, found bool) {
	for _, need := range b.Variables {
		value := lookup(need.Name)
		if value == "" {
			return need.Missing, need.Code, true
		}
		if matched, err := regexp.MatchString("^(?:"+need.Pattern+")$", value); err == nil && matched {
			continue
		}
		if need.Invalid != "" {
			return need.Invalid, need.Code, true
		}
		return need.Missing, need.Code, true
	}
	return "", 0, false
}

// wanted is how many bytes the process holds at this age: from start to peak, evenly, and peak from then on.
func (b behaviour) wanted(age time.Duration) int64 {
	ramp := b.Memory.PeakAfter.duration()
	if age >= ramp {
		return b.Memory.Peak
	}
	return b.Memory.Start + int64(float64(b.Memory.Peak-b.Memory.Start)*float64(age)/float64(ramp))
}

// answer is the first reply that fits a path.
func (b behaviour) answer(path string, atPeak bool) reply {
	for _, candidate := range b.Replies {
		if candidate.Path != path || candidate.Calls != "" || (candidate.ReadyBelow > 0 && atPeak) {
			continue
		}
		return candidate
	}
	return reply{Path: path, Status: 404, Body: "not found"}
}

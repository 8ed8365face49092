// Command service is a small HTTP service that behaves as its environment says: how much memory it really takes, which
// variables it requires, what it answers and logs, when and how it ends. It is the one program in every image of the
// real node; another image is this program with another behaviour.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		pause()
		return
	}
	if tool(os.Args[0], os.Args[1:]) || len(os.Args) > 1 && tool(os.Args[1], os.Args[2:]) {
		return
	}
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	does, err := parse(os.Getenv("BEHAVIOUR"))
	if err != nil {
		end(2, err.Error())
	}
	if said, code, found := does.unmet(os.Getenv); found {
		end(code, said)
	}
	s := &service{does: does, started: time.Now()}
	for _, each := range does.Logs {
		go say(each)
	}
	if does.Exit != nil {
		time.AfterFunc(does.Exit.After.duration(), func() { os.Exit(does.Exit.Code) })
	}
	if does.Fills != nil {
		go does.Fills.write()
	}
	for _, each := range does.Calls {
		s.lost.Store(each.Path, each.Path != "")
		go s.keepAsking(each)
	}
	if does.Burns > 0 {
		go burn(does.Burns)
	}
	go s.takeMemory()
	if does.Port > 0 {
		go s.listen()
	}
	s.waitForTerm()
}

// service is the running program, and whether it holds all the memory that it needs.
type service struct {
	does    behaviour
	started time.Time
	atPeak  atomic.Bool
	// By path: whether the call that it depends on has no good answer.
	lost sync.Map
	held [][]byte
}

func (s *service) listen() {
	time.Sleep(s.does.ListensAfter.duration())
	end(1, fmt.Sprint(http.ListenAndServe(fmt.Sprintf(":%d", s.does.Port), s)))
}

// ServeHTTP answers as the behaviour says.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given := s.does.answer(r.URL.Path, s.atPeak.Load() || s.hasRoom())
	if lost, known := s.lost.Load(r.URL.Path); known && lost == true {
		given = reply{Status: http.StatusServiceUnavailable, Body: "what it depends on does not answer"}
	}
	if s.does.refuses(r, os.Getenv) {
		given = reply{Status: http.StatusUnauthorized, Body: "password authentication failed"}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(given.Status)
	_, _ = io.WriteString(w, given.Body)
}

// takeMemory holds, page by page, as much as the behaviour wants of the process as a whole, until it is at its peak.
func (s *service) takeMemory() {
	const mebibyte = 1 << 20
	for anonymous() < s.does.Memory.Peak-mebibyte {
		for wanted := s.does.wanted(time.Since(s.started)); anonymous() < wanted-mebibyte; {
			s.held = append(s.held, touched(mebibyte))
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.atPeak.Store(true)
}

// hasRoom is whether the container's limit leaves room for the peak, so that the kernel will not end the process there.
func (s *service) hasRoom() bool {
	// Control groups of version 2, and of version 1.
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		said := strings.TrimSpace(string(content))
		limit, wrong := strconv.ParseInt(said, 10, 64)
		return said == "max" || (wrong == nil && limit > s.does.Memory.Peak)
	}
	return false
}

func (s *service) waitForTerm() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	<-asked
	time.Sleep(s.does.StopsAfter.duration())
}

func say(what line) {
	time.Sleep(what.After.duration())
	log.Print(what.Text)
	for what.Every > 0 {
		time.Sleep(what.Every.duration())
		log.Print(what.Text)
	}
}

// touched is a block of memory that the kernel really had to give: each of its pages is written.
func touched(size int) []byte {
	block := make([]byte, size)
	for at := 0; at < size; at += os.Getpagesize() {
		block[at] = 1
	}
	return block
}

// anonymous is how many bytes of memory of its own the process has; what it shares with the image's file is not counted.
func anonymous() int64 {
	var total, resident, shared int64
	content, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(content), &total, &resident, &shared)
	}
	if err != nil {
		end(1, err.Error())
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// pause is the program of a pod's sandbox: it waits to be told to stop, and reaps what is handed to it.
func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		var status syscall.WaitStatus
		for pid, err := 1, error(nil); pid > 0 && err == nil; {
			pid, err = syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		}
	}
}

func end(code int, why string) {
	log.Print(why)
	os.Exit(code)
}

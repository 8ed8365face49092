package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// refuses is whether a request lacks the password that this server was given; probes ask without one, and may.
func (b behaviour) refuses(r *http.Request, lookup func(string) string) bool {
	if b.Password == "" || strings.HasSuffix(r.URL.Path, "z") {
		return false
	}
	_, given, _ := r.BasicAuth()
	return given != lookup(b.Password)
}

// keepAsking asks another server until the process ends, says each failure, and lets the readiness follow.
func (s *service) keepAsking(c call) {
	for {
		err := c.ask()
		s.lost.Store(c.Path, err != nil)
		switch {
		case err == nil && c.Ends:
			os.Exit(0)
		case err != nil && c.Fatal:
			end(1, fmt.Sprintf("FATAL: %s", err))
		case err != nil:
			log.Printf("ERROR: %s", err)
		}
		time.Sleep(max(c.Every.duration(), time.Second))
	}
}

// ask is one request; a status of 400 and more is a failure, and the server's own words are in it.
func (c call) ask() error {
	url := c.URL
	if name, is := strings.CutPrefix(url, "$"); is {
		url = os.Getenv(name)
	}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 5 * time.Second}
	if c.Password != "" {
		request.SetBasicAuth("app", os.Getenv(c.Password))
	}
	if c.Account {
		if client.Transport, err = asAccount(request); err != nil {
			return err
		}
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answered %s: %s", url, answer.Status, words(said))
	}
	return nil
}

// asAccount is how a pod asks the cluster's API: with its account's token, and the authority that it was given.
func asAccount(request *http.Request) (http.RoundTripper, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	namespace, _ := os.ReadFile(account + "namespace")
	request.URL.Path = strings.ReplaceAll(request.URL.Path, "NAMESPACE", string(namespace))
	request.Header.Set("Authorization", "Bearer "+string(token))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, nil
}

// words is the message of an API's answer, or the answer itself.
func words(said []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if decoded(said, &status) && status.Message != "" {
		return status.Message
	}
	return strings.TrimSpace(string(said))
}

// write fills a file, a block at a time, until it is whole or the disk says no.
func (f fill) write() {
	const block = 1 << 16
	file, err := os.Create(f.Path)
	for written := int64(0); err == nil && written < f.Size; written += block {
		_, err = file.Write(make([]byte, block))
	}
	if err != nil {
		end(1, fmt.Sprintf("FATAL: cannot write what was received: %s", err))
	}
}

// burn keeps so many cores busy: whole ones in full, and the rest of one by turns.
func burn(cores float64) {
	for ; cores >= 1; cores-- {
		go spin(1)
	}
	spin(cores)
}

func spin(share float64) {
	const turn = 10 * time.Millisecond
	for {
		busy := time.Duration(share * float64(turn))
		for began := time.Now(); time.Since(began) < busy; {
			runtime.Gosched()
		}
		time.Sleep(turn - busy)
	}
}

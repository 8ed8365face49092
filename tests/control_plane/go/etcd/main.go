// Command etcd is etcd's own server, and nothing else: `go install` of it is refused for the same reason as that of Kubernetes.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

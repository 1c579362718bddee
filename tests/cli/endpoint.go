// SPDX-License-Identifier: MIT

// What heapprof serve is compared with: the endpoint of Go itself, in a program that holds something.
package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"runtime"
)

var held [][]byte

//go:noinline
func hold() {
	for i := 0; i < 64; i++ {
		held = append(held, make([]byte, 1<<20))
	}
}

func main() {
	runtime.MemProfileRate = 4096
	hold()
	runtime.GC() // a profile is of what the last one saw
	runtime.GC()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("serving %d\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}

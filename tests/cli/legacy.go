// SPDX-License-Identifier: MIT
// Writes what its web server answers for /debug/pprof/heap?debug=1 to the file named.
package main

import (
	"io"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"runtime"
)

var keep [][]byte

//go:noinline
func small() { keep = append(keep, make([]byte, 96)) }

//go:noinline
func large() { keep = append(keep, make([]byte, 3000000)) }

func inlined(n int) { keep = append(keep, make([]byte, n)) }

func main() {
	for i := 0; i < 30000; i++ {
		small()
		inlined(i)
	}
	for i := 0; i < 10; i++ {
		large()
	}
	keep = keep[1000:]
	runtime.GC()
	answer := httptest.NewRecorder()
	pprof.Index(answer, httptest.NewRequest("GET", "/debug/pprof/heap?debug=1", nil))
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(file, answer.Body); err != nil {
		panic(err)
	}
}

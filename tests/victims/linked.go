// SPDX-License-Identifier: MIT

// Objects of C, made by goroutines: every second one is kept.
package main

/*
#include <stdlib.h>

static void make(int number)
{
  void *made = malloc(1000);
  __asm__ volatile("" : "+r"(made)); // or the compiler leaves both calls out
  if (number % 2 == 0)
    free(made);
}
*/
import "C"

import (
	"fmt"
	"sync"
)

//go:noinline
func victim_goroutine() {
	for i := 0; i < 100; i++ {
		C.make(C.int(i))
	}
}

func main() {
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			victim_goroutine()
		}()
	}
	group.Wait()
	fmt.Println("done")
}

// Copies large structs, one by one.
package main

import "fmt"

type entry struct {
	sequence int
	account  int
	amounts  [20]int
}

var journal = make([]entry, 20000)

//go:noinline
func after(account int) int {
	balance := 0
	for _, e := range journal { // COPIES
		if e.account == account {
			balance += e.amounts[0]
		}
	}
	return balance
}

func main() {
	fmt.Println("ready")
	for sum := 0; ; {
		sum += after(sum) // CALLS
	}
}

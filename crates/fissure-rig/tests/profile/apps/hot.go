// Works in turns of random length in several goroutines: three quarters of it in the method of a generic type.
package main

import (
	"fmt"
	"math/rand"
)

type Cart[T any] struct {
	items []T
	sum   uint64
}

//go:noinline
func (c *Cart[T]) total(n int) {
	sum := c.sum
	for i := 0; i < n; i++ {
		sum = sum*6364136223846793005 + uint64(i) // HOT
	}
	c.sum = sum
}

//go:noinline
func rest(x uint64, n int) uint64 {
	for i := 0; i < n; i++ {
		x = x*6364136223846793005 + uint64(i) // REST
	}
	return x
}

func work(seed int64) {
	random := rand.New(rand.NewSource(seed))
	cart := &Cart[string]{}
	for {
		turn := 100000 + random.Intn(100000)
		cart.total(3 * turn)
		cart.sum = rest(cart.sum, turn)
	}
}

func main() {
	for i := int64(0); i < 3; i++ {
		go work(i)
	}
	fmt.Println("ready")
	select {}
}

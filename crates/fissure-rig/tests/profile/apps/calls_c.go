package main

/*
static unsigned long churn(unsigned long from, unsigned long rounds) {
	for (unsigned long i = 0; i < rounds; i++)
		from = from * 6364136223846793005ul + 1442695040888963407ul;
	return from;
}
*/
import "C"

func often(from C.ulong) C.ulong {
	for i := 0; i < 30; i++ {
		from = C.churn(from, 30000) // OFTEN
	}
	return from
}

func seldom(from C.ulong) C.ulong {
	for i := 0; i < 10; i++ {
		from = C.churn(from, 30000) // SELDOM
	}
	return from
}

func main() {
	var value C.ulong
	for {
		value = seldom(often(value))
	}
}

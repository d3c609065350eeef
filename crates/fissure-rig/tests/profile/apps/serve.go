// A server that is asked by itself, so that in every route requests wait: for a mutex, for one of two slots, for another server, for
// a helper. Beside them stand goroutines that wait for work.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

type shop struct {
	mutex sync.Mutex
	log   *os.File
	slots chan struct{}
	peer  string
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock() // LOCKS
	fmt.Fprintln(s.log, r.URL)
	s.log.Sync()
	time.Sleep(4 * time.Millisecond) // HOLDS
	s.mutex.Unlock()
	fmt.Fprintln(w, "ordered")
}

func (s *shop) orders(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()         // WANTS IT TOO
	defer s.mutex.Unlock() // LETS GO
	fmt.Fprintln(w, s.log.Name())
}

func (s *shop) photo(w http.ResponseWriter, r *http.Request) {
	s.slots <- struct{}{}            // SLOT
	time.Sleep(4 * time.Millisecond) // HAS ONE
	<-s.slots
	fmt.Fprintln(w, "photo")
}

func (s *shop) price(w http.ResponseWriter, r *http.Request) {
	answer, err := http.Get(s.peer) // ASKS
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	io.Copy(w, answer.Body)
}

func (s *shop) page(w http.ResponseWriter, r *http.Request) {
	var both sync.WaitGroup
	for i := 0; i < 2; i++ {
		both.Add(1)
		go func() {
			defer both.Done()
			time.Sleep(10 * time.Millisecond) // HELPS
		}()
	}
	both.Wait() // JOINS
	fmt.Fprintln(w, "page")
}

// Answers late to whoever asks, without net/http: what waits here serves nobody's request.
func late(listener net.Listener) {
	for {
		connection, err := listener.Accept() // ACCEPTS
		if err != nil {
			panic(err)
		}
		go func() {
			buffer := make([]byte, 4096)
			for {
				if _, err := connection.Read(buffer); err != nil { // READS
					return
				}
				time.Sleep(30 * time.Millisecond) // LATE
				io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
			}
		}()
	}
}

// Nothing is asked over them.
var resting []net.Conn

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return listener
}

func ask(url string) {
	client := &http.Client{Transport: &http.Transport{}}
	for {
		answer, err := client.Get(url)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

func main() {
	peer, own := listen(), listen()
	log, err := os.Create("orders")
	if err != nil {
		panic(err)
	}
	s := &shop{log: log, slots: make(chan struct{}, 2), peer: "http://" + peer.Addr().String()}
	http.HandleFunc("/order", s.order)
	http.HandleFunc("/orders", s.orders)
	http.HandleFunc("/photo", s.photo)
	http.HandleFunc("/price", s.price)
	http.HandleFunc("/page", s.page)
	work := make(chan int)
	for i := 0; i < 5; i++ {
		go func() {
			for range work { // WORKER
			}
		}()
		for _, route := range []string{"/order", "/orders", "/photo", "/price", "/page"} {
			go ask("http://" + own.Addr().String() + route)
		}
		connection, err := net.Dial("tcp", own.Addr().String())
		if err != nil {
			panic(err)
		}
		resting = append(resting, connection)
	}
	go late(peer)
	fmt.Println("http://" + peer.Addr().String())
	panic(http.Serve(own, nil))
}

# Of what Ruby itself does, three quarters in one function; beside it a hash in a library, and threads that wait: for the
# time, for a mutex, for another program's answer.
require "openssl"
require "socket"

def total(numbers)
  found = 0
  i = 0
  while i < numbers
    found += i * i % 7 # HOT
    i += 1
  end
  found
end

def rest(numbers)
  found = 0
  i = 0
  while i < numbers
    found += i * i % 7 # REST
    i += 1
  end
  found
end

def fingerprint
  OpenSSL::KDF.pbkdf2_hmac("a", salt: "b", iterations: 20_000, length: 32, hash: "sha256") # HASH
end

SLOW = Mutex.new

def holder
  loop do
    SLOW.synchronize do # TAKES
      sleep 0.2 # HOLDS
    end
  end
end

def locker
  loop do
    SLOW.synchronize do # LOCKS
      $taken = Time.now # HAS IT
    end
    sleep 0.001
  end
end

def asker(port)
  peer = TCPSocket.new("127.0.0.1", port)
  peer.gets # ASKS
end

silent = TCPServer.new("127.0.0.1", 0)
Thread.new { loop { sleep 0.2 } } # WAITS
Thread.new { holder }
2.times { Thread.new { locker } }
Thread.new { asker(silent.addr[1]) }
puts "ready"
$stdout.flush
loop do
  total(300_000)
  rest(100_000)
  fingerprint
end

# A server that forks: its workers do the work, in a library's block.
def total
  found = 0
  300_000.times do |i| # CALLS
    found += i * i % 7 # HOT
  end # GIVES
  found
end

workers = 2.times.map { fork { loop { total } } }
at_exit { workers.each { |pid| Process.kill("KILL", pid) } }
trap("TERM") { exit }
puts "ready"
$stdout.flush
Process.waitall # WAITS

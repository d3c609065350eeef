<?php
// PHP's own server with workers, started by itself: each request works in one line.
function work(): int
{
    $found = 0;
    for ($i = 0; $i < 3_000_000; $i++) {
        $found += $i * $i % 7; // HOT
    }
    return $found;
}

if (PHP_SAPI === "cli") {
    $free = stream_socket_server("tcp://127.0.0.1:0");
    $address = stream_socket_get_name($free, false);
    fclose($free);
    file_put_contents(__DIR__ . "/address", $address);
    echo "ready\n";
    pcntl_exec(PHP_BINARY, ["-q", "-S", $address, __FILE__], getenv() + ["PHP_CLI_SERVER_WORKERS" => "2"]);
}
echo work();

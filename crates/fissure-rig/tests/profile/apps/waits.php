<?php
// Waits: for the time, and for the answer of another program that never comes.
function pause(): void
{
    usleep(200_000); // SLEEPS
}

function ask(string $address): void
{
    $patience = stream_context_create(["http" => ["timeout" => 0.3]]);
    @file_get_contents("http://$address/", false, $patience); // ASKS
}

$silent = stream_socket_server("tcp://127.0.0.1:0");
$address = stream_socket_get_name($silent, false);
echo "ready\n";
while (true) {
    pause();
    ask($address);
    fclose(stream_socket_accept($silent));
}

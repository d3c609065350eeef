<?php
// Of what PHP itself does, three quarters in one method; beside it a hash in an extension.
final class Cart
{
    public function total(int $numbers): int
    {
        $found = 0;
        for ($i = 0; $i < $numbers; $i++) {
            $found += $i * $i % 7; // HOT
        }
        return $found;
    }
}

function rest(int $numbers): int
{
    $found = 0;
    for ($i = 0; $i < $numbers; $i++) {
        $found += $i * $i % 7; // REST
    }
    return $found;
}

function fingerprint(): string
{
    return hash_pbkdf2("sha256", "a", "b", 20_000); // HASH
}

echo "ready\n";
$cart = new Cart();
while (true) {
    $cart->total(3_000_000);
    rest(1_000_000);
    fingerprint();
}

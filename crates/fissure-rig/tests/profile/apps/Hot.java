// Works in turns of random length: three quarters of it in `total`. Threads beside it wait for a monitor, for a lock, for time.
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.ReentrantLock;

public class Hot {
    static final Object MONITOR = new Object();
    static final ReentrantLock GATE = new ReentrantLock();
    static volatile long sink;

    static long total(long n) {
        long sum = 0;
        for (long i = 0; i < n; i++) {
            sum = sum * 31 + (sum ^ i) % 7; // HOT
        }
        return sum;
    }

    static void slow() throws InterruptedException {
        synchronized (MONITOR) { // WAITS
            Thread.sleep(30); // HOLDS
        }
    }

    static void pass() throws InterruptedException {
        GATE.lock(); // GATE
        try {
            Thread.sleep(30); // PASSES
        } finally {
            GATE.unlock();
        }
    }

    interface Task {
        void run() throws Exception;
    }

    static void always(String name, Task task) {
        Thread thread = new Thread(() -> {
            try {
                while (true) {
                    task.run();
                }
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 3; i++) {
            always("waits-" + i, Hot::slow);
            always("gate-" + i, Hot::pass);
        }
        ExecutorService idle = Executors.newFixedThreadPool(2);
        idle.submit(() -> sink++).get();
        System.out.println("ready");
        while (true) {
            long turn = ThreadLocalRandom.current().nextLong(50_000, 150_000);
            sink += total(3 * turn);
            sink += Other.rest(turn);
        }
    }
}

class Other {
    static long rest(long n) {
        long sum = 0;
        for (long i = 0; i < n; i++) {
            sum = sum * 31 + (sum ^ i) % 7; // REST
        }
        return sum;
    }
}

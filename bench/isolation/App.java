// A server with nine features, of the JDK alone; `PLANTED=kind` keeps the state of one of them where only one process finds
// it. Without it everything that must be shared is in files of the folder in which it runs.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.regex.*;

public class App {
    static final String PLANTED = Objects.requireNonNullElse(System.getenv("PLANTED"), "");
    static final int PORT = Integer.parseInt(System.getenv("PORT"));
    static final Random RANDOM = new Random();

    interface State {
        String get(String key) throws IOException;
        void put(String key, String value) throws IOException;
        boolean add(String key, String value) throws IOException;
        String pop(String key) throws IOException;
        default int count(String key) throws IOException {
            while (!add(key + ".lock", "")) Thread.onSpinWait();
            String was = get(key);
            int n = was == null ? 1 : Integer.parseInt(was) + 1;
            put(key, "" + n);
            pop(key + ".lock");
            return n;
        }
    }

    record Shared(Path folder) implements State {
        Path file(String key) { return folder.resolve(key.replaceAll("[^A-Za-z0-9.-]", "_")); }
        public String get(String key) throws IOException {
            try { return Files.readString(file(key)); } catch (NoSuchFileException e) { return null; }
        }
        public void put(String key, String value) throws IOException {
            Path draft = Files.createTempFile(folder, "draft", null);
            Files.writeString(draft, value);
            Files.move(draft, file(key), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }
        public boolean add(String key, String value) throws IOException {
            try { Files.writeString(file(key), value, StandardOpenOption.CREATE_NEW); return true; }
            catch (FileAlreadyExistsException e) { return false; }
        }
        public String pop(String key) throws IOException {
            Path gone = folder.resolve("gone" + hex());
            try { Files.move(file(key), gone, StandardCopyOption.ATOMIC_MOVE); } catch (NoSuchFileException e) { return null; }
            String value = Files.readString(gone);
            Files.delete(gone);
            return value;
        }
    }

    record Own(Map<String, String> kept) implements State {
        public String get(String key) { return kept.get(key); }
        public void put(String key, String value) { kept.put(key, value); }
        public boolean add(String key, String value) { return kept.putIfAbsent(key, value) == null; }
        public String pop(String key) { return kept.remove(key); }
    }

    static State state(String kind) {
        if (PLANTED.equals(kind)) return new Own(new ConcurrentHashMap<>());
        try { return new Shared(Files.createDirectories(Path.of("kept", kind))); } catch (IOException e) { throw new RuntimeException(e); }
    }

    static final State carts = state("cart"), codes = state("otp"), cursors = state("cursor"), chunks = state("chunks"),
        versions = state("version"), progress = state("progress"), tries = state("lockout"), prizes = state("prize"), seats = state("seats");

    static String hex() { return Long.toHexString(RANDOM.nextLong() | 1L << 63); }
    static String field(String body, String name) {
        Matcher m = Pattern.compile("\"" + name + "\"\\s*:\\s*\"?([^\",}]*)").matcher(body);
        return m.find() ? m.group(1) : "";
    }

    record Reply(int status, String body) {}

    static String noise() throws IOException {
        List<String> order = new ArrayList<>(List.of("1", "2", "3", "4"));
        Collections.shuffle(order);
        return "{\"now\":" + System.currentTimeMillis() + ",\"iso\":\"" + java.time.Instant.now() + "\",\"nano\":" + System.nanoTime()
            + ",\"uuid\":\"" + UUID.randomUUID() + "\",\"token\":\"" + hex() + "\",\"order\":" + order + ",\"some\":" + order.subList(0, RANDOM.nextInt(4))
            + ",\"coin\":" + RANDOM.nextBoolean() + ",\"dice\":" + RANDOM.nextInt(6) + ",\"pid\":" + ProcessHandle.current().pid() + ",\"port\":" + PORT
            + ",\"host\":\"" + InetAddress.getLocalHost().getHostName() + "\",\"free\":" + Runtime.getRuntime().freeMemory() + ",\"float\":" + RANDOM.nextDouble()
            + ",\"thread\":\"" + Thread.currentThread().getName() + "\",\"hash\":\"" + new Object() + "\",\"date\":\"" + new Date() + "\",\"maybe\":"
            + (RANDOM.nextBoolean() ? "null" : "\"there\"") + ",\"keyed\":{\"" + hex() + "\":1},\"mixed\":" + (RANDOM.nextBoolean() ? "1" : "\"one\"")
            + ",\"variant\":\"" + "AB".charAt(RANDOM.nextInt(2)) + "\",\"locale\":\"" + String.format("%,d", RANDOM.nextInt(100000)) + "\"}";
    }

    static Reply serve(HttpExchange x, String route, String rest, String body) throws Exception {
        String who = field(body, "who");
        switch (route) {
            case "GET health": return new Reply(200, "{\"ok\":true}");
            case "GET noise": return new Reply(200, noise());
            case "POST cart": {
                carts.put(who, field(body, "item"));
                return new Reply(200, "{\"ok\":true}");
            }
            case "GET cart": return new Reply(200, "{\"item\":\"" + Objects.requireNonNullElse(carts.get(rest), "") + "\"}");
            case "POST code": {
                String code = "" + (100000 + RANDOM.nextInt(900000));
                codes.put(who, code);
                return new Reply(200, "{\"sent\":\"" + code + "\"}");
            }
            case "POST verify": {
                String code = codes.pop(who);
                return code != null && code.equals(field(body, "digits")) ? new Reply(200, "{\"ok\":true}") : new Reply(400, "{\"error\":\"wrong code\"}");
            }
            case "GET pages": {
                String next = hex();
                if (rest.isEmpty()) { cursors.put(next, "2"); return new Reply(200, "{\"rows\":[1,2],\"next\":\"" + next + "\"}"); }
                return cursors.pop(rest) == null ? new Reply(410, "{\"error\":\"the cursor is gone\"}") : new Reply(200, "{\"rows\":[3,4]}");
            }
            case "PUT chunk": {
                int part = Integer.parseInt(field(body, "part"));
                if (part > 1 && chunks.get(rest + "." + (part - 1)) == null) return new Reply(409, "{\"error\":\"a part is missing\"}");
                chunks.put(rest + "." + part, "here");
                return new Reply(200, "{\"have\":" + part + "}");
            }
            case "PUT page": {
                int version = Integer.parseInt(field(body, "version"));
                boolean known = version == 0 || versions.get(rest + "." + version) != null;
                if (!known || !versions.add(rest + "." + (version + 1), "here")) return new Reply(412, "{\"error\":\"somebody else was faster\"}");
                return new Reply(200, "{\"version\":" + (version + 1) + "}");
            }
            case "POST export": { progress.put(rest, "100"); return new Reply(202, "{\"started\":true}"); }
            case "GET export": {
                String p = progress.get(rest);
                return p == null ? new Reply(404, "{\"error\":\"no such export\"}") : new Reply(200, "{\"percent\":" + p + "}");
            }
            case "POST signin":
                return tries.count(who) > 2 ? new Reply(423, "{\"error\":\"locked\"}") : new Reply(401, "{\"error\":\"wrong password\"}");
            case "POST prize": return new Reply(200, prizes.add("first", "taken") ? "{\"prize\":\"first\"}" : "{\"prize\":\"none\"}");
            // Ten seats of a show: looks, then takes; inside a lock of this process.
            case "POST seat": {
                if (!PLANTED.equals("check")) {
                    return seats.add("seat" + field(body, "seat"), "taken") ? new Reply(201, "{\"yours\":true}") : new Reply(409, "{\"error\":\"taken\"}");
                }
                synchronized (App.class) {
                    if (seats.get("seat" + field(body, "seat")) != null) return new Reply(409, "{\"error\":\"taken\"}");
                    Thread.sleep(5);
                    seats.put("seat" + field(body, "seat"), "taken");
                    return new Reply(201, "{\"yours\":true}");
                }
            }
        }
        return new Reply(404, "{\"error\":\"nothing here\"}");
    }

    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", PORT), 64);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", x -> {
            String body = new String(x.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            String[] parts = x.getRequestURI().getPath().substring(1).split("/", 2);
            Reply reply;
            try { reply = serve(x, x.getRequestMethod() + " " + parts[0], parts.length > 1 ? parts[1] : "", body); }
            catch (Exception e) { reply = new Reply(500, "{\"error\":\"" + e + "\"}"); }
            byte[] bytes = reply.body().getBytes(StandardCharsets.UTF_8);
            x.getResponseHeaders().set("Content-Type", "application/json");
            x.getResponseHeaders().set("X-Request-Id", hex());
            x.sendResponseHeaders(reply.status(), bytes.length);
            x.getResponseBody().write(bytes);
            x.close();
        });
        server.start();
    }
}

// A client of JSAMP's library, driven over standard input and output by lines of JSON.
// See scripted.py for the language.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.astrogrid.samp.ErrInfo;
import org.astrogrid.samp.Message;
import org.astrogrid.samp.Response;
import org.astrogrid.samp.SampUtils;
import org.astrogrid.samp.client.CallableClient;
import org.astrogrid.samp.client.DefaultClientProfile;
import org.astrogrid.samp.client.HubConnection;

public class JsampPeer implements CallableClient {
    private static final PrintStream OUT = System.out;
    private final HubConnection hub;

    private JsampPeer(HubConnection hub) {
        this.hub = hub;
    }

    public static void main(String[] args) throws Exception {
        HubConnection hub = DefaultClientProfile.getProfile().register();
        if (hub == null) {
            throw new IllegalStateException("no hub");
        }
        JsampPeer peer = new JsampPeer(hub);
        hub.setCallable(peer);
        emit("event", "ready", "id", hub.getRegInfo().getSelfId());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            List request = (List) SampUtils.fromJson(line);
            try {
                Object answer = peer.perform((String) request.get(0), request.subList(1, request.size()));
                emit("answer", answer == null ? "" : answer);
            } catch (Exception e) {
                emit("fault", e.toString());
            }
        }
        System.exit(0);
    }

    private Object perform(String name, List args) throws Exception {
        switch (name) {
            case "ping": hub.ping(); return null;
            case "disconnect": hub.unregister(); return null;
            case "declare_metadata": hub.declareMetadata((Map) args.get(0)); return null;
            case "get_metadata": return hub.getMetadata((String) args.get(0));
            case "declare_subscriptions": hub.declareSubscriptions((Map) args.get(0)); return null;
            case "get_subscriptions": return hub.getSubscriptions((String) args.get(0));
            case "get_registered_clients": return Arrays.asList(hub.getRegisteredClients());
            case "get_subscribed_clients": return hub.getSubscribedClients((String) args.get(0));
            case "notify": hub.notify((String) args.get(0), (Map) args.get(1)); return null;
            case "notify_all": return hub.notifyAll((Map) args.get(0));
            case "call": return hub.call((String) args.get(0), (String) args.get(1), (Map) args.get(2));
            case "call_all": return hub.callAll((String) args.get(0), (Map) args.get(1));
            case "call_and_wait":
                return hub.callAndWait((String) args.get(0), (Map) args.get(1),
                                       Integer.parseInt((String) args.get(2)));
            default: throw new IllegalArgumentException(name);
        }
    }

    public void receiveNotification(String sender, Message message) {
        emit("event", "notification", "sender", sender, "message", message);
    }

    public void receiveCall(String sender, String msgId, Message message) throws Exception {
        emit("event", "call", "sender", sender, "id", msgId, "message", message);
        String mtype = message.getMType();
        if (mtype.equals("test.fail")) {
            hub.reply(msgId, Response.createErrorResponse(new ErrInfo("told to fail")));
        } else if (!mtype.equals("test.hold")) {
            hub.reply(msgId, Response.createSuccessResponse(message.getParams()));
        }
    }

    public void receiveResponse(String responder, String tag, Response response) {
        emit("event", "response", "sender", responder, "id", tag, "message", response);
    }

    private static synchronized void emit(Object... entries) {
        Map<String, Object> line = new HashMap<>();
        for (int i = 0; i < entries.length; i += 2) {
            line.put((String) entries[i], entries[i + 1]);
        }
        OUT.println(json(line));
        OUT.flush();
    }

    // SampUtils.toJson does not escape quotation marks.
    private static String json(Object value) {
        if (value instanceof Map) {
            StringJoiner out = new StringJoiner(",", "{", "}");
            ((Map<?, ?>) value).forEach((key, item) -> out.add(json(key) + ":" + json(item)));
            return out.toString();
        }
        if (value instanceof List) {
            StringJoiner out = new StringJoiner(",", "[", "]");
            ((List<?>) value).forEach(item -> out.add(json(item)));
            return out.toString();
        }
        StringBuilder out = new StringBuilder("\"");
        for (char c : value.toString().toCharArray()) {
            boolean plain = c >= ' ' && c < 127 && c != '"' && c != '\\';
            out.append(plain ? String.valueOf(c) : String.format("\\u%04x", (int) c));
        }
        return out.append('"').toString();
    }
}

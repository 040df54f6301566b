import Foundation
import Testing

/// `pangate relay` against endpoints that share no code with it (tools/peers/relay_endpoint.py, relay_bad_input.py).
@Suite(
  "A relay and independent endpoints",
  .enabled(if: RelayPeerHome.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"),
  .serialized, .timeLimit(.minutes(20)))
struct RelayPeerTests {
  @Test("Sessions, envelopes and deliveries keep every rule over TCP, TLS and WebSockets, and from one to the other")
  func rules() throws {
    let home = try RelayPeerHome()
    let lines = try home.run("relay_endpoint.py", ["check"] + home.urls)
    for url in home.urls {
      let seen = Set(lines.filter { $0.url == url }.map(\.what))
      for what in [
        "session", "confidential envelope: delivered byte for byte", "same sequence number, other bytes",
        "forged signature", "recipient that nobody knows", "unsigned junk", "too large",
        "envelope before the session", "what was held comes in order",
      ] { #expect(seen.contains(what), "\(what) over \(url)") }
    }
    #expect(lines.count > 400)
    home.stop()
  }

  @Test("Who is taken off the access list is refused at once, and what he had sent with him")
  func revocation() throws {
    let home = try RelayPeerHome()
    let lines = try home.run("relay_endpoint.py", ["revoke"] + home.urls)
    #expect(lines.count { $0.what == "phone2 wants a session" } == home.urls.count)
    #expect(lines.count { $0.what == "what phone2 had sent is not delivered any more" } == home.urls.count)
    home.stop()
  }

  @Test("pangate send reaches an independent endpoint, and its signed receipt comes back")
  func send() throws {
    let home = try RelayPeerHome()
    for (index, url) in home.urls.enumerated() {
      let config = try home.endpoint("owner", over: home.urls[(index + 1) % home.urls.count])
      let peer = try home.start("relay_endpoint.py", ["receive", url, "--as", "gateway"])
      for protection in ["no-consequence", "auth-only", "confidential"] {
        let result = try Executable.run([
          "send", "--config", config, "--to", "gateway", "--text", "\(protection) \(index)", "--class", protection,
          "--wait", "--json",
        ])
        #expect(result.status == 0 && result.stdout.contains("\"signature\":\"verified\""), "\(result)")
      }
      let status = try peer.end()
      let lines = try home.check(try peer.text(), status: status)
      let received = lines.filter { $0.what == "received" }
      #expect(received.map(\.text) == ["no-consequence \(index)", "auth-only \(index)", "confidential \(index)"])
      #expect(received.allSatisfy { $0.sender == "owner" })
      #expect(lines.count { $0.what == "receipt sent" } == 3)
    }
    home.stop()
  }

  @Test("What an independent endpoint sends reaches pangate receive, and its signed receipt comes back")
  func receive() throws {
    let home = try RelayPeerHome()
    for (index, url) in home.urls.enumerated() {
      let config = try home.endpoint("owner", over: home.urls[(index + 1) % home.urls.count])
      let receiver = try RelayPeerProcess(
        Executable.products.appendingPathComponent("pangate"), ["receive", "--config", config, "--follow", "--json"],
        output: home.folder.appendingPathComponent("received-\(index)"))
      let send = ["send", url, "--as", "gateway", "--to", "owner"]
      let lines =
        try home.run("relay_endpoint.py", send + ["readable \(index)"])
        + home.run("relay_endpoint.py", send + ["sealed \(index)", "--confidential"])
      #expect(lines.count { $0.what == "receipt" } == 2)
      let isShown = receiver.wait { text in
        ["readable \(index)", "sealed \(index)"].allSatisfy { text.contains("\"content\":[\"\($0)\"]") }
      }
      #expect(try receiver.end(signal: SIGTERM) == 0)
      let shown = try receiver.text()
      #expect(isShown, "\(shown)")
    }
    home.stop()
  }

  @Test("Whatever is sent to it is answered or cut off in time, and good clients are served")
  func badInput() throws {
    let home = try RelayPeerHome(
      """
      limits:
        connections-per-address: 64
        handshake-seconds: 4
        message-seconds: 2
        silent-seconds: 2
        ping-seconds: 2
        envelopes-per-second: 10
        envelopes-in-burst: 200
      """)
    let lines = try home.run("relay_bad_input.py", ["--pid", "\(home.processIdentifier)"] + home.urls)
    #expect(lines.count > 250)
    #expect(lines.count { $0.what == "a client all the while" } == 1)
    home.stop()
  }
}

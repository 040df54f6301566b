import CoAP
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 3.3, 5.1 and 8.2, step 2: finding the context of a request.
struct ContextTableTests {
  @Test("A thousand peers: each request finds its context, and the answer goes back")
  func many() throws {
    var table = OSCOREContextTable<Int>(capacity: 1000)
    var clients: [OSCORESecurityContext] = []
    for number in 0..<1000 {
      let pair = try Pair(
        clientID: [UInt8(number >> 8), UInt8(number & 255)].hex, serverID: "00", secret: UInt8(number & 255))
      try table.insert(pair.server, for: number)
      clients.append(pair.client)
    }
    #expect(table.count == 1000)
    #expect(throws: OSCOREError(.oscoreContextLimit)) { try table.insert(Pair().server, for: 1000) }
    for number in 0..<1000 {
      var (request, exchange) = try clients[number].protectRequest(.ping)
      let (peer, outcome) = try table.unprotectRequest(request)
      #expect(peer == number)
      guard case .request(let inner, let atServer) = outcome else {
        Issue.record("challenged")
        continue
      }
      #expect(inner == .ping)
      let response = try table.withContext(of: peer) { (context) throws(OSCOREError) in
        try context.protectResponse(CoAPResponse(.content), in: atServer)
      }
      #expect(try clients[number].unprotectResponse(response, in: &exchange).code == .content)
      #expect(refusal(&table, request) == .oscoreReplay)
    }
  }

  @Test("Several contexts with one kid are tried in turn, and only the right one changes")
  func shared() throws {
    var table = OSCOREContextTable<Int>(maximumSharing: 3)
    var clients: [OSCORESecurityContext] = []
    for number in 0..<3 {
      let pair = try Pair(secret: UInt8(number))
      clients.append(pair.client)
      try table.insert(pair.server, for: number)
    }
    #expect(throws: OSCOREError(.oscoreContextLimit)) { try table.insert(Pair(secret: 9).server, for: 3) }
    for round in 0..<3 {
      for number in [0, 2, 1] {
        let (request, _) = try clients[number].protectRequest(.ping)
        #expect(try table.unprotectRequest(request).peer == number)
        #expect(refusal(&table, request) == .oscoreReplay)
        for other in 0..<3 {
          #expect((table[other]?.window.highest ?? 0) <= UInt64(round))
        }
      }
    }
    var stranger = try Pair(secret: 9).client
    // Its first number was received from all the others, a later one from none.
    #expect(refusal(&table, try stranger.protectRequest(.ping).request) == .oscoreReplay)
    for _ in 0..<3 { _ = try stranger.protectRequest(.ping) }
    #expect(refusal(&table, try stranger.protectRequest(.ping).request) == .oscoreDecryptionFailed)
  }

  @Test("A kid context picks the contexts with that ID Context; without one all are tried")
  func kidContext() throws {
    var table = OSCOREContextTable<String>()
    var clients: [String: OSCORESecurityContext] = [:]
    for (name, idContext) in [("none", nil), ("one", [1]), ("two", [2]), ("empty", [])] as [(String, [UInt8]?)] {
      let pair = try Pair(idContext: idContext)
      try table.insert(pair.server, for: name)
      clients[name] = pair.client
    }
    for name in clients.keys.sorted() {
      let with = try #require(try clients[name]?.protectRequest(.ping).request)
      #expect(try table.unprotectRequest(with).peer == name)
      let without = try #require(try clients[name]?.protectRequest(.ping, withIDContext: false).request)
      #expect(try table.unprotectRequest(without).peer == name)
    }
    var three = try Pair(idContext: [3]).client
    #expect(refusal(&table, try three.protectRequest(.ping).request) == .oscoreContextUnknown)
  }

  @Test("A peer's context is replaced and removed with all that belonged to it")
  func lifecycle() throws {
    var table = OSCOREContextTable<Int>(capacity: 1, maximumSharing: 1)
    var (old, new) = (try Pair(clientID: "01", secret: 1), try Pair(clientID: "02", secret: 2))
    try table.insert(old.server, for: 1)
    let (request, _) = try old.send()
    guard case .request(_, let exchange) = try table.unprotectRequest(request).outcome else {
      Issue.record("challenged")
      return
    }
    // In the place of the old one though the table is full, and though the identifier is shared.
    try table.insert(old.server, for: 1)
    try table.insert(new.server, for: 1)
    #expect(table.count == 1)
    #expect(!table.contains(recipientID: try OSCOREIdentifier([1])))
    #expect(table.contains(recipientID: try OSCOREIdentifier([2])))
    #expect(refusal(&table, try old.send().0) == .oscoreContextUnknown)
    #expect(throws: OSCOREError(.oscoreContextOther)) {
      try table.withContext(of: 1) { (context) throws(OSCOREError) in
        try context.protectResponse(CoAPResponse(.content), in: exchange)
      }
    }
    #expect(try table.unprotectRequest(new.send().0).peer == 1)
    table.remove(1)
    table.remove(1)
    #expect(table.count == 0 && table[1] == nil)
    #expect(refusal(&table, try new.send().0) == .oscoreContextUnknown)
    #expect(throws: OSCOREError(.oscoreContextUnknown)) {
      try table.withContext(of: 1) { (_) throws(OSCOREError) in }
    }
  }

  @Test("A restarted table challenges each peer, and then takes its requests")
  func restart() throws {
    var table = OSCOREContextTable<Int>()
    var pairs: [Pair] = []
    for number in 0..<3 {
      pairs.append(try Pair(secret: UInt8(number)))
      let state = pairs[number].server.durableState
      try table.insert(OSCORESecurityContext(restoring: state, challenge: UInt64(number)), for: number)
    }
    for number in 0..<3 {
      var (request, exchange) = try pairs[number].send()
      let (peer, outcome) = try table.unprotectRequest(request)
      #expect(peer == number)
      let challenge = try pairs[number].client.unprotectResponse(try #require(outcome.challenge), in: &exchange)
      var again = CoAPRequest.ping
      again.echo = challenge.echo
      #expect(try table.unprotectRequest(pairs[number].send(again).0).outcome.request == again)
    }
  }

  private func refusal(_ table: inout OSCOREContextTable<some Hashable & Sendable>, _ request: CoAPRequest)
    -> DropReason?
  {
    do throws(OSCORERefusal) {
      _ = try table.unprotectRequest(request)
      return nil
    } catch { return error.reason }
  }
}

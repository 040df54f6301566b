import Envelope
import Foundation
import Relay
import Testing

@testable import pangate

/// What is said between clients and relays is not readable on the network, unless nobody is in between.
@Suite struct RelayConfigTests {
  private func load(listen: String) throws -> RelayConfigurationFile {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-relay-\(UUID().uuidString).yaml")
    defer { try? FileManager.default.removeItem(at: file) }
    let text = """
      identity: relay.pem
      listen: ["\(listen)"]
      groups: [{ oracle: oracle.pem }]
      store: { state: state }
      """
    try Data(text.utf8).write(to: file)
    return try RelayConfigurationFile.load(file.path)
  }

  @Test(
    "A relay listens in the clear on loopback only",
    arguments: [
      ("coap+tcp://127.0.0.1:5683", true), ("coap+ws://127.0.0.1:8080", true), ("coaps+tcp://0.0.0.0:5684", true),
      ("coaps+ws://192.0.2.1:443", true), ("coap+tcp://0.0.0.0:5683", false), ("coap+ws://192.0.2.1:80", false),
    ])
  func secureOnly(_ url: String, _ isAllowed: Bool) throws {
    if isAllowed {
      #expect(try load(listen: url).server.listen == [try #require(RelayURL(url))])
    } else {
      #expect { try load(listen: url) } throws: { "\($0)".contains("would be readable on the network") }
    }
  }

  @Test(
    "A client connects in the clear to loopback only",
    arguments: [
      ("coap+tcp://127.0.0.1:5683", true), ("coaps+tcp://192.0.2.1:5684", true), ("coap+tcp://192.0.2.1:5683", false),
      ("coap+ws://192.0.2.1:80", false),
    ])
  func clients(_ url: String, _ isAllowed: Bool) throws {
    let demo = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Config/demo")
    func identity(_ name: String) throws -> Identity {
      try IdentityFiles.identity(demo.appendingPathComponent("\(name).pem").path)
    }
    let (owner, oracle) = (try identity("owner"), try identity("oracle"))
    let file = try [UInt8](Data(contentsOf: demo.appendingPathComponent("peer-record-owner.cose")))
    let directory = try PeerDirectory.accept(
      SignedEnvelope(parsing: file), for: owner, oracle: oracle.public, current: nil)
    var section = RelayClientSection()
    section.urls = [try #require(RelayURL(url))]
    section.certificateFile = demo.appendingPathComponent("relay.pem").path
    if isAllowed {
      #expect(try section.client(owner, serving: [], directory: directory).relays.map(\.url) == section.urls)
    } else {
      #expect { try section.client(owner, serving: [], directory: directory) } throws: {
        "\($0)".contains("would be readable on the network")
      }
    }
  }
}

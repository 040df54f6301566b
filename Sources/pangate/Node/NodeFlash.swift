import COSE
import Envelope
import Foundation
import Node
import OSCORE
import Wire

/// What a device must not forget: numbers and receipts of its envelopes, and the keys it shares.
struct NodeMemory: Equatable {
  var envelopes = EnvelopeMemory()
  var security = NodeSecurityMemory()
}

/// A CBOR array: what ``EnvelopeMemory`` has, contexts by member, and the link key or null.
extension NodeMemory: CBORItem {
  init(reading reader: inout CBORReader) throws(ParseError) {
    try reader.array(count: 3)
    envelopes = try EnvelopeMemory(reading: &reader)
    var entries = try reader.map()
    while try reader.nextKey(in: &entries) {
      let address = try Address(parsing: try reader.bytes(count: Address.length))
      security.states[address] = try OSCOREDurableState(parsing: try reader.bytes())
    }
    let start = reader.error(.envelopeStructure)
    if try !reader.takeNull() {
      guard let key = LinkKey(try CBORValue(reading: &reader)) else { throw start }
      security.linkKey = key
    }
  }

  func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.array(3)
    try envelopes.write(to: &writer)
    writer.map(security.states.count)
    for (address, state) in security.states.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
      writer.bytes(address.bytes)
      writer.bytes(try state.encoded())
    }
    if let key = security.linkKey { try key.value.write(to: &writer) } else { writer.null() }
  }
}

/// The file that stands for a device's flash: written before anything leaves that depends on it.
struct NodeFlash {
  let file: URL
  private var written: [UInt8]?

  /// In the directory `folder`, which is made if there is none. Throws ``Failure``.
  init(_ folder: String) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw Failure.cannotStart("\(folder): cannot be made: \(error.localizedDescription)") }
    file = URL(fileURLWithPath: folder).appendingPathComponent("flash.cbor")
  }

  /// What was kept; nothing the first time.
  mutating func read() throws -> NodeMemory {
    guard FileManager.default.fileExists(atPath: file.path) else { return NodeMemory() }
    let bytes = try InputFile.bytes(file.path)
    do throws(ParseError) {
      let memory = try NodeMemory(parsing: bytes)
      written = bytes
      return memory
    } catch {
      throw Failure.cannotStart(
        "\(file.path): damaged: \(error): a device that has lost its numbers needs a new identity")
    }
  }

  /// On disk when this returns.
  mutating func write(_ memory: NodeMemory) throws {
    guard let bytes = try? memory.cbor(), bytes != written else { return }
    try SecretFile.write(Data(bytes), to: file.path, force: true)
    written = bytes
  }
}

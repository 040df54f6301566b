import Envelope
import Foundation
import Node
import Wire

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
  mutating func read() throws -> EnvelopeMemory {
    guard FileManager.default.fileExists(atPath: file.path) else { return EnvelopeMemory() }
    let bytes = try InputFile.bytes(file.path)
    do throws(ParseError) {
      let memory = try EnvelopeMemory(parsing: bytes)
      written = bytes
      return memory
    } catch {
      throw Failure.cannotStart(
        "\(file.path): damaged: \(error): a device that has lost its numbers needs a new identity")
    }
  }

  /// On disk when this returns.
  mutating func write(_ memory: EnvelopeMemory) throws {
    guard let bytes = try? memory.cbor(), bytes != written else { return }
    try SecretFile.write(Data(bytes), to: file.path, force: true)
    written = bytes
  }
}

import Crypto
import Foundation
import TestSupport
import Testing
import Wire

@testable import COSE

/// tools/peers/cose.py: cwt and pycose, which had no part in this code.
enum Peer {
  /// The interpreter with the libraries, which tools/test names.
  static let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

  struct Job: Encodable {
    var `do`: String
    var alg: Int?
    var scalar: String?
    var point: String?
    var points: [String]?
    var kids: [String]?
    var kid: String?
    var index: Int?
    var payload: String?
    var format: Int?
    var message: String?
    var aad: String
  }

  /// What one job gave: bytes, or the error of the library.
  struct Outcome: Decodable {
    var bytes: String?
    var error: String?
  }

  /// The outcomes of all `jobs`, done by one process.
  static func run(_ jobs: [Job]) throws -> [Outcome] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(python))
    process.arguments = ["-B", root.appendingPathComponent("tools/peers/cose.py").path]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(jobs))
    try input.fileHandleForWriting.close()
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let outcomes = try JSONDecoder().decode([Outcome].self, from: answer)
    #expect(outcomes.count == jobs.count)
    return outcomes
  }
}

@Suite(.enabled(if: Peer.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct PeerTests {
  private let aad = Fixtures.bytes("a1012601020304")

  @Test("cwt and pycose verify our signatures, and refuse them with another external_aad")
  func ourSignatures() throws {
    let key = try Fixtures.signingKey()
    var jobs: [Peer.Job] = []
    for (library, algorithm) in [("cwt", -7), ("cwt", -9), ("pycose", -7)] {
      let message = try COSESign1(
        signing: Fixtures.content, headers: COSEHeaders(protected: [1: .integer(Int64(algorithm)), 3: 112]),
        with: key, externalAAD: aad.rawSpan)
      let job = Peer.Job(
        do: library + "_verify", alg: algorithm, point: key.publicKey.point.hex,
        message: try message.encoded().hex, aad: aad.hex)
      var other = job
      other.aad = ""
      jobs += [job, other]
    }
    for (index, outcome) in try Peer.run(jobs).enumerated() {
      if index.isMultiple(of: 2) {
        #expect(outcome.bytes == Fixtures.content.hex, "\(jobs[index].do): \(outcome.error ?? "")")
      } else {
        #expect(outcome.error != nil, "\(jobs[index].do)")
      }
    }
  }

  @Test("We verify the signatures of cwt and pycose")
  func theirSignatures() throws {
    let key = try Fixtures.signingKey().publicKey
    let jobs = [("cwt_sign", -7), ("cwt_sign", -9), ("pycose_sign", -7)].map {
      Peer.Job(
        do: $0.0, alg: $0.1, scalar: Fixtures.signingScalar, payload: Fixtures.content.hex, aad: aad.hex)
    }
    for outcome in try Peer.run(jobs) {
      let bytes = Fixtures.bytes(try #require(outcome.bytes, "\(outcome.error ?? "")"))
      let view = try COSESign1View(bytes.rawSpan)
      #expect(view.payload.array() == Fixtures.content)
      try view.verify(with: key, externalAAD: aad.rawSpan)
      do {
        try view.verify(with: key)
        Issue.record("verified without the external_aad")
      } catch { #expect(error.reason == .coseSignatureInvalid) }
    }
  }

  @Test("cwt opens our HPKE-0, HPKE-0-KE and AES-CCM messages, pycose our ECDH-ES+A128KW ones")
  func ourCiphertexts() throws {
    var generator = SeededGenerator(seed: 1)
    let key = try Fixtures.agreementKey()
    let others = (0..<2).map { _ in P256.KeyAgreement.PrivateKey().publicKey }
    let kid = generator.bytes(8)
    let secret = generator.bytes(16)
    func several(_ algorithm: COSEAlgorithm) throws -> String {
      try COSEEncrypt.seal(
        Fixtures.content,
        to: [
          .init(others[0], keyID: generator.bytes(8), algorithm: algorithm),
          .init(key.publicKey, keyID: kid, algorithm: algorithm),
          .init(others[1], keyID: generator.bytes(8), algorithm: algorithm),
        ], contentFormat: 112, externalAAD: aad.rawSpan, using: &generator
      ).encoded().hex
    }
    let scalar = Fixtures.agreementScalar
    let single = try COSEEncrypt0.seal(
      Fixtures.content, to: key.publicKey, contentFormat: 112, externalAAD: aad.rawSpan)
    let shared = try COSEEncrypt0.seal(
      Fixtures.content, using: SymmetricKey(data: secret), nonce: generator.bytes(13), contentFormat: 112,
      externalAAD: aad.rawSpan)
    var jobs = [
      Peer.Job(do: "cwt_open", scalar: scalar, message: try single.encoded().hex, aad: aad.hex),
      Peer.Job(do: "cwt_open", scalar: scalar, kid: kid.hex, message: try several(.hpke0KE), aad: aad.hex),
      Peer.Job(
        do: "pycose_open", scalar: scalar, index: 1, message: try several(.ecdhESA128KW), aad: aad.hex),
      Peer.Job(do: "ccm_open", scalar: secret.hex, message: try shared.encoded().hex, aad: aad.hex),
    ]
    let right = jobs.count
    jobs += jobs.map {
      var job = $0
      job.aad = "00"
      return job
    }
    for (index, outcome) in try Peer.run(jobs).enumerated() {
      if index < right {
        #expect(outcome.bytes == Fixtures.content.hex, "\(jobs[index].do): \(outcome.error ?? "")")
      } else {
        #expect(outcome.error != nil, "\(jobs[index].do)")
      }
    }
  }

  @Test("We open the HPKE-0, HPKE-0-KE and AES-CCM messages of cwt and the ECDH-ES+A128KW ones of pycose")
  func theirCiphertexts() throws {
    let key = try Fixtures.agreementKey()
    let other = P256.KeyAgreement.PrivateKey()
    let kids = ["0102030405060708", "1112131415161718"]
    let points = [other.publicKey.point.hex, key.publicKey.point.hex]
    let secret = SymmetricKey(size: .bits128)
    func job(_ name: String, points: [String]? = nil, scalar: String? = nil) -> Peer.Job {
      Peer.Job(
        do: name, scalar: scalar, points: points, kids: points == nil ? nil : kids,
        payload: Fixtures.content.hex,
        format: 112, aad: aad.hex)
    }
    let outcomes = try Peer.run([
      job("cwt_seal0", points: [points[1]]), job("ccm_seal", scalar: secret.bytes.hex),
      job("cwt_seal", points: points), job("pycose_seal", points: points),
    ])
    let messages = try outcomes.map { Fixtures.bytes(try #require($0.bytes, "\($0.error ?? "")")) }
    let single = try COSEEncrypt0(parsing: messages[0])
    #expect(single.contentFormat == 112)
    #expect(try single.open(with: key, externalAAD: aad.rawSpan) == Fixtures.content)
    #expect(
      try COSEEncrypt0(parsing: messages[1]).open(using: secret, externalAAD: aad.rawSpan) == Fixtures.content
    )
    for message in messages.suffix(2) {
      let several = try COSEEncrypt(parsing: message)
      #expect(several.recipients.map { $0.keyID?.hex } == kids)
      #expect(try several.open(at: 1, with: key, externalAAD: aad.rawSpan) == Fixtures.content)
      #expect(try several.open(at: 0, with: other, externalAAD: aad.rawSpan) == Fixtures.content)
      #expect(
        try several.open(with: key, keyID: Fixtures.bytes(kids[1]), externalAAD: aad.rawSpan)
          == Fixtures.content)
      #expect(throws: ParseError(.coseDecryptionFailed)) { try several.open(at: 1, with: key) }
    }
  }
}

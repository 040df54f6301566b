import Crypto
import Envelope
import Foundation
import Logging
import NIOSSL
import Synchronization

/// The certificate that a relay shows, read again when its files change.
final class TLSCertificate: Sendable {
  private struct State {
    var context: NIOSSLContext
    var stamp: [Date]
  }

  private let files: (certificate: String, key: String)?
  private let state: Mutex<State>

  /// A certificate from files. Throws ``RelayServerError/certificate(file:detail:)``.
  init(certificateFile: String, keyFile: String) throws(RelayServerError) {
    files = (certificateFile, keyFile)
    let stamp = Self.stamp(certificateFile, keyFile)
    state = Mutex(State(context: try Self.context(certificateFile, keyFile), stamp: stamp))
  }

  /// The certificate of the relay's identity, which clients know by the address in their peer record.
  init(_ identity: RelayIdentity) throws(RelayServerError) {
    files = nil
    let context: NIOSSLContext
    do {
      context = try Self.context(
        [.certificate(NIOSSLCertificate(bytes: identity.public.certificate, format: .der))],
        NIOSSLPrivateKey(bytes: Array(identity.signingKey.derRepresentation), format: .der))
    } catch { throw .certificate(file: "the relay's identity", detail: "\(error)") }
    state = Mutex(State(context: context, stamp: []))
  }

  /// For the next connection.
  var context: NIOSSLContext { state.withLock { $0.context } }

  /// Reads the files again if they have changed. True if they had; when they are wrong, the old certificate stays in use.
  func reload() throws(RelayServerError) -> Bool {
    guard let files else { return false }
    let stamp = Self.stamp(files.certificate, files.key)
    guard stamp != state.withLock({ $0.stamp }) else { return false }
    let context = try Self.context(files.certificate, files.key)
    state.withLock { $0 = State(context: context, stamp: stamp) }
    return true
  }

  private static func stamp(_ files: String...) -> [Date] {
    files.map { (try? FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date) ?? .distantPast }
  }

  private static func context(_ certificateFile: String, _ keyFile: String) throws(RelayServerError) -> NIOSSLContext {
    let chain: [NIOSSLCertificateSource]
    do { chain = try NIOSSLCertificate.fromPEMFile(certificateFile).map { .certificate($0) } } catch {
      throw .certificate(file: certificateFile, detail: "holds no certificates in PEM: \(error)")
    }
    let key: NIOSSLPrivateKey
    do { key = try NIOSSLPrivateKey(file: keyFile, format: .pem) } catch {
      throw .certificate(file: keyFile, detail: "holds no private key in PEM: \(error)")
    }
    do { return try context(chain, key) } catch {
      throw .certificate(file: certificateFile, detail: "does not go with \(keyFile): \(error)")
    }
  }

  private static func context(_ chain: [NIOSSLCertificateSource], _ key: NIOSSLPrivateKey) throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv13
    // RFC 8323, 8.2; over WebSockets, HTTP is what is spoken first.
    configuration.applicationProtocols = ["coap", "http/1.1"]
    return try NIOSSLContext(configuration: configuration)
  }
}

/// Why a relay does not start.
public enum RelayServerError: Error, Sendable, CustomStringConvertible {
  /// A file of the TLS certificate cannot be used.
  case certificate(file: String, detail: String)
  /// A port cannot be listened on.
  case listen(RelayURL, detail: String)

  public var description: String {
    switch self {
    case .certificate(let file, let detail): "\(file): \(detail); write both files of 'tls' anew"
    case .listen(let url, let detail): "'listen': cannot listen on \(url): \(detail)"
    }
  }
}

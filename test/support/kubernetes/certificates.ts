/** Certificates for servers and clients of tests, made by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** Signed the two others. */
  readonly ca: KeyPair;
  /** For 127.0.0.1, localhost and k8s.example.org. */
  readonly server: KeyPair;
  readonly client: KeyPair;
}

/** Made in the folder, which they are not needed in any more. */
export function makeCertificates(folder: string): Certificates {
  const make = (name: string, subject: string, ...more: readonly string[]): KeyPair => {
    const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, '-subj', subject, ...more, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  };
  const ca = make('ca', '/CN=test authority');
  const signed = ['-CA', join(folder, 'ca.crt'), '-CAkey', join(folder, 'ca.key')];
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:k8s.example.org';
  return {
    ca,
    server: make('server', '/CN=server', ...signed, '-addext', names),
    client: make('client', '/CN=somebody', ...signed, '-addext', 'extendedKeyUsage=clientAuth'),
  };
}

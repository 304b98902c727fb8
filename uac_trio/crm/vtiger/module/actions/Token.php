<?php
/**
 * index.php?module=UacCompanion&action=Token: what a browser needs to open a stream of events.
 *
 * {"success":true,"result":{"token":"...","url":"https://.../crm/events"}}, or a result with "off" and the reason.
 * uac_trio/crm/stream_token.py of the connector reads the token.
 */
require_once 'modules/UacCompanion/UacCompanion.php';

class UacCompanion_Token_Action extends Vtiger_Action_Controller {
    /** Seconds for which it is good, once. */
    const LASTS = 60;

    /** The CRM would send who is logged out to its login, and after that login to this address. */
    public function loginRequired() {
        return false;
    }

    public function checkPermission(Vtiger_Request $request) {
        return true;  // asked in process(), for an answer that the script understands
    }

    public function process(Vtiger_Request $request) {
        session_write_close();  // its lock would hold up every other request of this user
        $response = new Vtiger_Response();
        $response->setResult($this->answer((bool) $request->get('test')));
        $response->emit();
    }

    private function answer($isTest) {
        $off = UacCompanion::off();
        if ($off !== '') {
            return array('off' => $off);
        }
        $user = Users_Record_Model::getCurrentUserModel();
        $secret = (string) PBXManager_Server_Model::getInstance()->get('vtigersecretkey');
        if ($secret === '' || UacCompanion::address() === '') {
            return array('off' => 'no-gateway');
        }
        // An administrator tries the connection: a stream without a single event.
        $extension = $isTest && $user->isAdminUser() ? '' : (string) $user->get('phone_crm_extension');
        if ($extension === '' && !$isTest) {
            return array('off' => 'no-extension');
        }
        if (!$isTest && !Users_Privileges_Model::isPermitted('PBXManager', 'ReceiveIncomingCalls')
            && !Users_Privileges_Model::isPermitted('PBXManager', 'MakeOutgoingCalls')) {
            return array('off' => 'not-permitted');
        }
        if ($isTest && !$user->isAdminUser()) {
            return array('off' => 'not-permitted');
        }
        $token = self::token((int) $user->getId(), $extension, time() + self::LASTS, bin2hex(random_bytes(16)), $secret);
        return array('token' => $token, 'url' => UacCompanion::address() . '/crm/events');
    }

    public static function token($user, $extension, $expires, $nonce, $secret) {
        $payload = self::base64(json_encode(
            array('v' => 1, 'u' => $user, 'x' => $extension, 'e' => $expires, 'n' => $nonce)));
        return $payload . '.' . self::base64(hash_hmac('sha256', "uac-companion\n" . $payload, $secret, true));
    }

    /** In the alphabet of URLs, without padding. */
    private static function base64($bytes) {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }
}
